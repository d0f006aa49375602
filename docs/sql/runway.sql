-- What ends when, of what members have at the export's instant: by month of the last local day on which they can be used; the last row of a ledger never ends.
CREATE OR REPLACE VIEW expiry_runway AS
SELECT
  program,
  ledger,
  date_trunc('month', last_day)::DATE AS month,
  sum("left")::BIGINT AS points,
  count(DISTINCT member) AS members
FROM lots
WHERE status <> 'closed'
GROUP BY ALL
ORDER BY ALL NULLS LAST;
