"""A chat of ten messages about a table, with what a scripted coder answers to each."""

from opencodeinterpreter.testing import draft

SALES = "month,region,amount\njan,Europe,100\njan,Asia,50\nfeb,Europe,120\nfeb,Asia,70\n"
RATES = "region,rate\nEurope,1.5\nAsia,2\n"

LOAD = "import csv\nrows = list(csv.DictReader(open('sales.csv')))\nprint(len(rows), 'rows')"
BY_MONTH = """totals = {}
for row in rows:
    totals[row['month']] = totals.get(row['month'], 0) + int(row['amount'])
print(totals)"""
PLOT = """import struct, zlib
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
def plot(name, values, height=16):
    lines = [b''.join(b'\\0' if value * height > y * 200 else b'\\xff' for value in values)
             for y in range(height, 0, -1)]
    head = struct.pack('>IIBBBBB', len(values), height, 8, 0, 0, 0, 0)
    body = zlib.compress(b''.join(b'\\0' + line for line in lines))
    parts = chunk(b'IHDR', head), chunk(b'IDAT', body), chunk(b'IEND', b'')
    open(name, 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + b''.join(parts))
plot('months.png', list(totals.values()))"""
WORDS = "The columns are month, region and amount."
WRONG = """europe = []
for row in rows:
    if row['continent'] == 'Europe':
        europe.append(row)
print(len(europe))"""
EUROPE = "europe = [row for row in rows if row['region'] == 'Europe']\nprint(len(europe))"
CONVERT = """rates = {}
for row in csv.DictReader(open('rates.csv')):
    rates[row['region']] = float(row['rate'])
for row in rows:
    row['dollars'] = int(row['amount']) * rates[row['region']]
print(sum(row['dollars'] for row in rows))"""
CHANCE = "import random, time\nsample = random.sample(rows, 2)\ntime.sleep(0.5)\nprint(sample)"
AGAIN = "print(sample == sample and len(sample))\nplot('europe.png', [100, 120])"
SAVE = "open('dollars.txt', 'w').write(repr(rows))\nlen(rows)"
READ = "print(open('dollars.txt').read() == repr(rows), sorted(totals))"

CHAT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Load sales.csv.", (draft(LOAD),)),
    ("Total by month.", (draft(BY_MONTH),)),
    ("Plot it.", (draft(PLOT),)),
    ("Which columns are there?", (WORDS,)),
    ("Now only Europe.", (draft(WRONG), draft(EUROPE))),
    ("In dollars, with rates.csv.", (draft(CONVERT),)),
    ("Take two at random.", (draft(CHANCE),)),
    ("How many? Plot Europe.", (draft(AGAIN),)),
    ("Save the rows.", (draft(SAVE),)),
    ("Read them again.", (draft(READ),)),
)
"""Each message, and the coder's answers to it, of which all but the last fail."""

REPLIES = tuple(reply for _, replies in CHAT for reply in replies)
TOLD = (
    "4 rows\n",
    "{'jan': 150, 'feb': 190}\n",
    "",
    None,
    "",
    "2\n",
    "570.0\n",
    ...,
    "2\n",
    "",
    "True ['feb', 'jan']\n",
)
"""What each turn printed; `None`: nothing ran; `...`: what chance made of it."""
