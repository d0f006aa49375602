-- Members by the tier in force at an instant, from the moves: SELECT * FROM tier_counts_at('2026-01-31 12:00:00+00').
-- Who never moved is in the tier the first move would start from: look at members for those.
CREATE OR REPLACE MACRO tier_counts_at(instant) AS TABLE
WITH last AS (
  SELECT program, member, arg_max(to_tier, entry) AS tier
  FROM tiers
  WHERE occurred_at <= instant::TIMESTAMPTZ
  GROUP BY ALL
)
SELECT program, tier, count(*) AS members FROM last GROUP BY ALL ORDER BY ALL;

-- The same at the export's instant, everybody counted.
CREATE OR REPLACE VIEW tier_counts AS
SELECT program, tier, count(*) AS members FROM members WHERE tier IS NOT NULL GROUP BY ALL ORDER BY ALL;
