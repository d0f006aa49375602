-- What was owed to members, what came, what went, what is owed, by ledger and local month: as accrue liability says it.
CREATE OR REPLACE VIEW liability_roll_forward AS
SELECT
  program,
  ledger,
  strftime(day, '%Y-%m') AS month,
  arg_min(opening, day)::BIGINT AS opening,
  sum(earned)::BIGINT AS earned,
  sum(imported)::BIGINT AS imported,
  sum(restored)::BIGINT AS restored,
  sum(transferred_in)::BIGINT AS transferred_in,
  sum(adjusted)::BIGINT AS adjusted,
  sum(spent)::BIGINT AS spent,
  sum(expired)::BIGINT AS expired,
  sum(cancelled)::BIGINT AS cancelled,
  sum(clawed_back)::BIGINT AS clawed_back,
  sum(debt_repaid)::BIGINT AS debt_repaid,
  sum(transferred_out)::BIGINT AS transferred_out,
  arg_max(closing, day)::BIGINT AS closing,
  sum(debt_opened)::BIGINT AS debt_opened,
  arg_max(debt_closing, day)::BIGINT AS debt_closing
FROM daily
GROUP BY ALL
ORDER BY ALL;
