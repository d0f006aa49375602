-- The tables of an export (accrue export parquet), read where they are: run DuckDB in the export's folder.
-- Program ids and months are text, whatever they look like.
CREATE OR REPLACE VIEW entries AS SELECT * FROM read_parquet('entries/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW moves AS SELECT * FROM read_parquet('moves/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW tiers AS SELECT * FROM read_parquet('tiers/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW daily AS SELECT * FROM read_parquet('daily/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW lots AS SELECT * FROM read_parquet('lots/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW members AS SELECT * FROM read_parquet('members/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW balances AS SELECT * FROM read_parquet('balances/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW coupons AS SELECT * FROM read_parquet('coupons/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW redemptions AS SELECT * FROM read_parquet('redemptions/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW orders AS SELECT * FROM read_parquet('orders/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
