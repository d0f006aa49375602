-- Members by the month of their first entry: how many of them redeemed, and how much, by the months since.
CREATE OR REPLACE VIEW cohort_redemption AS
WITH cohorts AS (
  SELECT program, member, date_trunc('month', min(day))::DATE AS cohort FROM entries GROUP BY ALL
),
sizes AS (
  SELECT program, cohort, count(*) AS members FROM cohorts GROUP BY ALL
),
spent AS (
  SELECT program, member, date_trunc('month', day)::DATE AS month, -sum(points) AS points
  FROM entries
  WHERE kind IN ('spent', 'restored')
  GROUP BY ALL
)
SELECT
  cohorts.program,
  cohorts.cohort,
  any_value(sizes.members) AS members,
  date_diff('month', cohorts.cohort, spent.month) AS age,
  count(DISTINCT spent.member) FILTER (spent.points > 0) AS redeemers,
  sum(spent.points)::BIGINT AS points
FROM cohorts
JOIN sizes USING (program, cohort)
JOIN spent ON spent.program = cohorts.program AND spent.member = cohorts.member
GROUP BY cohorts.program, cohorts.cohort, spent.month;
