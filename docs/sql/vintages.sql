-- Points by the month in which they came, and what became of them by age in months: as accrue liability --vintages says it.
CREATE OR REPLACE VIEW vintages AS
SELECT
  moves.program,
  moves.ledger,
  strftime(lots.opened_day, '%Y-%m') AS vintage,
  date_diff('month', date_trunc('month', lots.opened_day), date_trunc('month', moves.day)) AS age,
  coalesce(sum(moves.points) FILTER (opens), 0)::BIGINT AS earned,
  coalesce(sum(moves.points) FILTER (NOT opens AND moves.kind IN ('spent', 'restored')), 0)::BIGINT AS spent,
  coalesce(sum(moves.points) FILTER (NOT opens AND moves.kind = 'expired'), 0)::BIGINT AS expired,
  coalesce(sum(moves.points) FILTER (NOT opens AND moves.kind IN ('cancelled', 'clawed_back')), 0)::BIGINT AS clawed_back,
  coalesce(sum(moves.points) FILTER (NOT opens AND moves.kind NOT IN (
    'spent', 'restored', 'expired', 'cancelled', 'clawed_back')), 0)::BIGINT AS other
FROM moves
JOIN lots USING (program, member, lot)
GROUP BY ALL
ORDER BY ALL;
