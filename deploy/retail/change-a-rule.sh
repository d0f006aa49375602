#!/usr/bin/env bash
# The commands of docs/guides/change-a-rule.md over the real input of docs/retail.md: a bonus for a past season, a shorter life of
# points as a what-if, other tiers over all of history and back.
#   deploy/retail/change-a-rule.sh [INPUT [FOLDER]]; ACCRUE names the binary.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
input=${1:-$here/../../shared/data/online-retail.csv.gz}
out=${2:-$(mktemp -d)}
accrue=${ACCRUE:-accrue}
rules=$here/rulesets/retail-tiers.toml
mkdir -p "$out"
cd "$out"

run() {
    echo
    echo "\$ accrue $*"
    "$accrue" "$@" --dir store
}

# One line each is another.
sed 's/^points = 1$/points = 2/' "$rules" > double.toml
sed 's/after = "P12M", to/after = "P6M", to/' "$rules" > six-months.toml
sed -e 's/^entry    = "500.00"/entry    = "300.00"/; s/^maintain = "400.00"/maintain = "300.00"/' \
    -e 's/^entry           = "2000.00"/entry           = "1500.00"/' "$rules" > lower-tiers.toml
cp "$rules" rules.toml

run rules activate rules.toml --from 2010-01-01
run import --mapping "$here/retail/mapping.toml" "$input"
run totals --at 2011-12-10

echo; echo "== Twice the points for September and October, afterwards as before"
run rules apply double.toml --policy true_up --from 2011-08-31T23:00:00Z --to 2011-11-01T00:00:00Z --at 2011-12-10 \
    --max-members-pct 40 --dry-run --html bonus.html
approve=$("$accrue" rules apply double.toml --policy true_up --from 2011-08-31T23:00:00Z --to 2011-11-01T00:00:00Z --at 2011-12-10 \
    --dry-run --dir store -o json | sed -n 's/^  "effects": "\(.*\)",\{0,1\}$/\1/p')
run rules apply double.toml --policy true_up --from 2011-08-31T23:00:00Z --to 2011-11-01T00:00:00Z --at 2011-12-10 \
    --max-members-pct 40 --approve "$approve" --actor ann --note "autumn bonus"
run totals --at 2011-12-10
run rules history

echo; echo "== Points live six months instead of twelve: what if?"
run rules diff live six-months.toml --at 2011-12-10 --html six-months.html

echo; echo "== Lower tiers over all of history, and back"
run tiers --at 2011-12-10
run rules diff live lower-tiers.toml --at 2011-12-10 --html lower-tiers.html
run rules undo --at 2011-12-11
run totals --at 2011-12-12
run rules apply lower-tiers.toml --policy restate --from 2010-01-01 --at 2011-12-12 --actor ann
run tiers --at 2011-12-10
run rules undo --at 2011-12-13
run tiers --at 2011-12-10
run totals --at 2011-12-12
run rules history
run verify
