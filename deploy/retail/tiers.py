#!/usr/bin/env python3
"""Tiers of "Online Retail" under deploy/rulesets/retail-tiers.toml, computed without accrue: a second opinion on docs/retail.md.

    deploy/retail/tiers.py online-retail.csv.gz [2012-12-31] > moves.csv

Prints at,member,from,to,metric,by_refund of every move between tiers up to the day given; counts go to stderr. Shares nothing with
the engine but docs/semantics.md: spend of the last 180 local days, each order on its own day less what came back; up at
once; held for three months to the end of that day; then tested.
"""
import sys
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta

import check

TIERS = [("member", 0, 0), ("silver", 50_000, 40_000), ("gold", 200_000, 150_000), ("platinum", 1_000_000, 750_000)]
WINDOW, MONTHS = timedelta(days=180), 3


def add_months(day, months):
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    last = ((date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
    return date(year, month, min(day.day, last))


def reached(metric):
    return max(place for place, (_, entry, _) in enumerate(TIERS) if metric >= entry)


class Member:
    """All amounts in pence; `held` is the first local day after the hold."""

    def __init__(self, name, moves):
        self.name, self.moves, self.orders, self.tier, self.held = name, moves, [], 0, None

    def window(self, day):
        inside = [order for order in self.orders if day - WINDOW < order["day"] <= day]
        now = sum(check.spend(order, Counter()) for order in inside)
        return now, sum(order["first"] for order in inside) - now

    def move(self, at, tier, metric, by_refund):
        self.moves.append((at, self.name, TIERS[self.tier][0], TIERS[tier][0], metric, by_refund))
        self.tier = tier

    def pass_time(self, day):
        """Tests at the ends of holds, that day's first instant included."""
        while self.held is not None and self.held <= day:
            at = self.held
            metric, lowered = self.window(at)
            keep = TIERS[self.tier][2]
            self.held = add_months(at, MONTHS)
            if metric >= keep:
                continue
            tier = reached(metric)
            self.move(f"{at} 00:00", tier, metric, metric + lowered >= keep)
            if tier == 0:
                self.held = None

    def fact(self, at, back, number, lines):
        day = datetime.strptime(at[:10], "%Y-%m-%d").date()
        self.pass_time(day)
        if back:
            for article, pieces, value in lines:
                check.give_back(article, pieces, value, self.orders, Counter())
            return
        lines = [{"article": a, "left": n, "value": v, "back": 0} for a, n, v in lines]
        order = {"at": at, "number": number, "lines": lines, "day": day}
        order["first"] = check.spend(order, Counter())
        self.orders.append(order)
        metric, _ = self.window(day)
        tier = reached(metric)
        if tier > self.tier:
            self.move(at[:16], tier, metric, False)
            self.held = add_months(day, MONTHS) + timedelta(days=1)


def main(path, until):
    history, moves = defaultdict(list), []
    for number, (at, customer, lines) in check.read(path, Counter()).items():
        history[customer].append((at, number.startswith("C"), number, lines))
    for customer in sorted(history):
        member = Member(customer, moves)
        for at, back, number, lines in sorted(history[customer], key=lambda entry: entry[:3]):
            member.fact(at, back, number, lines)
        member.pass_time(until)
    order = {name: place for place, (name, _, _) in enumerate(TIERS)}
    print("at,member,from,to,metric,by_refund")
    for at, name, old, new, metric, by_refund in sorted(moves):
        print(f"{at},{name},{old},{new},{metric // 100}.{metric % 100:02},{'yes' if by_refund else 'no'}")
    ever = Counter(tier for _, tier in {(name, new) for _, name, _, new, _, _ in moves})
    ever["member"] = len(history)
    for name, _, _ in TIERS:
        print(f"{ever[name]:>6}  members ever {name}", file=sys.stderr)
    months = defaultdict(Counter)
    for at, _, old, new, _, _ in moves:
        months[at[:7]]["up" if order[new] > order[old] else "down"] += 1
    for month in sorted(months):
        print(f"{month}  {months[month]['up']:>5} up {months[month]['down']:>5} down", file=sys.stderr)
    falls = [(name, at) for at, name, _, _, _, by_refund in moves if by_refund]
    print(f"{len(falls):>6}  falls that a refund caused, of {len({name for name, _ in falls})} members", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], date.fromisoformat(sys.argv[2] if len(sys.argv) == 3 else "2012-12-31"))
