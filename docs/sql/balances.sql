-- What each member had at an instant, from entries alone: SELECT * FROM balances_at('2026-01-31 12:00:00+00').
-- active: spendable; outstanding: active and pending; debt: owed.
CREATE OR REPLACE MACRO balances_at(instant) AS TABLE
SELECT
  program,
  member,
  ledger,
  arg_max(active_after, entry)::BIGINT AS active,
  coalesce(sum(points) FILTER (kind IN (
    'earned', 'imported', 'restored', 'transferred_in', 'adjusted', 'spent', 'expired',
    'cancelled', 'clawed_back', 'debt_repaid', 'transferred_out')), 0)::BIGINT AS outstanding,
  coalesce(sum(points) FILTER (kind IN ('debt_opened', 'debt_repaid')), 0)::BIGINT AS debt
FROM entries
WHERE occurred_at <= instant::TIMESTAMPTZ
GROUP BY ALL;
