#!/usr/bin/env python3
"""Eligible spend per member of "Online Retail", computed without accrue: a second opinion on docs/retail.md.

    deploy/retail/check.py online-retail.csv.gz > spend.csv

Prints member,spend sorted by member; counts go to stderr. Shares nothing with the engine but docs/semantics.md:
an invoice is an order at its earliest minute, each row a line worth quantity x price rounded half up to the penny; an
invoice C... gives articles back, in order of time, to the member's latest earlier orders that have pieces of it left.
What an order counts is the value of its lines less what was given back, never below zero, and nothing when all pieces are back.
"""
import csv
import gzip
import sys
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal


def pence(quantity, price):
    return int((quantity * Decimal(price) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def read(path, counts):
    """Invoices of members: {number: [minute, customer, [[article, pieces, pence], ...]]}."""
    invoices = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number, quantity = row["InvoiceNo"], int(row["Quantity"])
            back = number.startswith("C")
            counts["rows"] += 1
            if number.startswith("A"):
                counts["rows skipped: adjustment of bad debt"] += 1
            elif not back and quantity <= 0:
                counts["rows skipped: correction of stock"] += 1
            elif not row["CustomerID"]:
                counts["rows skipped: no customer"] += 1
            else:
                counts["rows used"] += 1
                invoice = invoices.setdefault(number, [row["InvoiceDate"], row["CustomerID"], []])
                assert invoice[1] == row["CustomerID"], f"{number} has two customers"
                invoice[0] = min(invoice[0], row["InvoiceDate"])
                pieces = -quantity if back else quantity
                assert pieces > 0, f"{number} gives back {pieces}"
                invoice[2].append([row["StockCode"], pieces, pence(pieces, row["UnitPrice"])])
    return invoices


def give_back(article, pieces, amount, orders, counts):
    """Finds places for the pieces in orders, latest first; returns the pieces that found none."""
    placed = given = 0
    for order in sorted(orders, key=lambda order: (order["at"], order["number"]), reverse=True):
        for line in order["lines"]:
            take = min(line["left"], pieces - placed) if line["article"] == article else 0
            if take == 0:
                continue
            placed += take
            part = amount * placed // pieces - given
            given += part
            line["left"] -= take
            line["back"] += part
            counts["refund pieces placed"] += take
            if line["back"] > line["value"]:
                counts["lines with more given back than they were worth"] += 1
        if placed == pieces:
            return 0
    return pieces - placed


def spend(order, counts):
    """What the order counts now, in pence."""
    rest = sum(line["value"] - line["back"] for line in order["lines"])
    if not any(line["left"] for line in order["lines"]):
        counts["orders with all pieces given back"] += 1
        counts["orders with all pieces given back, for less than was paid"] += rest > 0
        return 0
    counts["orders with pieces left, but more given back than was paid"] += rest < 0
    return max(0, rest)


def main(path):
    counts = Counter()
    history = defaultdict(list)
    for number, (at, customer, lines) in read(path, counts).items():
        # Orders before refunds of the same minute, as ids sort: order:..., refund:...
        back = number.startswith("C")
        history[customer].append((at, back, number, lines))
        counts["refund_recorded" if back else "order_placed"] += 1
        counts["pence given back, as stated" if back else "pence ordered"] += sum(value for _, _, value in lines)
        counts["pieces given back, as stated" if back else "pieces ordered"] += sum(pieces for _, pieces, _ in lines)
        hour = at[11:13]
        assert "06" <= hour < "24", "no local time that is twice or never, so its text sorts as time"
    unmatched = []
    print("member,spend")
    total = 0
    for customer in sorted(history):
        orders = []
        for at, back, number, lines in sorted(history[customer], key=lambda entry: entry[:3]):
            if not back:
                lines = [{"article": a, "left": n, "value": v, "back": 0} for a, n, v in lines]
                orders.append({"at": at, "number": number, "lines": lines})
                continue
            lost = [(a, v, n, give_back(a, n, v, orders, counts)) for a, n, v in lines]
            lost = [entry for entry in lost if entry[3]]
            unmatched += lost
            counts["refunds with pieces that found no order (refund_unmatched)"] += bool(lost)
        sums = [spend(order, counts) for order in orders]
        counts["points that the orders are worth, a point a pound"] += sum(pence // 100 for pence in sums)
        total += sum(sums)
        print(f"{customer},{sum(sums) // 100}.{sum(sums) % 100:02}")
    counts["members"] = len(history)
    counts["members that only gave back"] = sum(all(entry[1] for entry in entries) for entries in history.values())
    counts["refund lines that found no place, or only in part"] = len(unmatched)
    counts["pieces that found no place"] = sum(entry[3] for entry in unmatched)
    for name, count in sorted(counts.items()):
        print(f"{count:>10}  {name}", file=sys.stderr)
    print(f"{total // 100:>7}.{total % 100:02}  eligible spend of all members, GBP", file=sys.stderr)
    articles = Counter(article for article, _, _, _ in unmatched)
    print("            unmatched by article:", ", ".join(f"{a} {n}" for a, n in articles.most_common(8)), file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
