"""What a partition must hold: the journal's side of the durability tests.

A Table is a partition's rows as requests make them. Every value tells, by its first bytes, which write of which cell it
belongs to, and the rest follows from that, so reading a table back from a server shows whether each value is whole. A
Task is what consumers of one task were told: with and without leases."""

import hashlib
import struct
import threading

from server import Failure, expect, pairs

KINDS = {"a": "bytes", "n": "i64", "big": "u8[*]"}


# ---------------------------------------------------------------- values

def value(key, field, version, size):
    if field == "n":
        return struct.pack("<q", version)
    head = b"%s/%s/%d/%d|" % (key, field.encode(), version, size)
    seed = hashlib.blake2b(head).digest()
    return (head + seed * (size // len(seed) + 1))[:max(size, len(head))]


def version_of(key, field, bytes_):
    """(version, size) of a value; it has to be whole."""
    if field == "n":
        return struct.unpack("<q", bytes_)[0], 8
    head = bytes_[:bytes_.find(b"|")].split(b"/")
    expect(len(head) == 4 and head[:2] == [key, field.encode()], "field", field, "of", key, "holds", bytes_[:60])
    version, size = int(head[2]), int(head[3])
    expect(bytes_ == value(key, field, version, size), "field", field, "of", key, "is not whole: version", version)
    return version, size


# ---------------------------------------------------------------- requests

class Put:
    """NX: only a new sample; `only`: the tag v has to be that."""

    def __init__(self, key, tags, fields, nx=False, only=None):
        self.key, self.tags, self.fields, self.nx, self.only = key, tags, fields, nx, only

    def words(self, partition):
        out = ["TQ.PUT", partition, self.key]
        if self.nx:
            out.append("NX")
        if self.only is not None:
            out += ["IF", "v", self.only]
        if self.tags:
            out += ["TAGS", len(self.tags)] + [w for pair in self.tags.items() for w in pair]
        if self.fields:
            out += ["FIELDS", len(self.fields)]
            for field, (version, size) in self.fields.items():
                # The type of an item: only the field may be ragged.
                v = value(self.key, field, version, size)
                out += ["%s:%s" % (field, KINDS[field].replace("*", str(len(v)))), v]
        return out

    def apply(self, table):
        there = self.key in table.rows
        if self.nx and there or self.only is not None and table.tag(self.key, "v") != self.only:
            return None
        table.write(self.key, self.tags, self.fields)
        return 0 if there else 1


class Mput:
    """Tags and fields by name, a value for each key."""

    def __init__(self, keys, tags, fields):
        self.keys, self.tags, self.fields = keys, tags, fields

    def words(self, partition):
        out = ["TQ.MPUT", partition, "KEYS", len(self.keys)] + self.keys
        if self.tags:
            out += ["TAGS", len(self.tags)] + [w for name, values in self.tags.items() for w in [name] + values]
        if self.fields:
            out += ["COLUMNS", len(self.fields)]
        for field, cells in self.fields.items():
            values = [value(key, field, *cell) for key, cell in zip(self.keys, cells)]
            shape = b"" if field == "n" else b"".join(struct.pack("<I", len(v)) for v in values)
            out += [field, KINDS[field], shape, b"".join(values)]
        return out

    def apply(self, table):
        new = 0
        for i, key in enumerate(self.keys):
            new += key not in table.rows
            table.write(key, {name: values[i] for name, values in self.tags.items()},
                        {name: cells[i] for name, cells in self.fields.items()})
        return new


class Clear:
    """Samples by keys, or with v < below; or of these a field, or a tag; or everything."""

    def __init__(self, keys=None, below=None, field=None, tag=None):
        self.keys, self.below, self.field, self.tag = keys, below, field, tag

    def words(self, partition):
        out = ["TQ.CLEAR", partition]
        if self.keys is not None:
            out += ["KEYS", len(self.keys)] + self.keys
        if self.below is not None:
            out += ["WHERE", 1, "v", "<", self.below]
        if self.field:
            out += ["FIELDS", 1, self.field]
        if self.tag:
            out += ["TAGS", 1, self.tag]
        return out

    def apply(self, table):
        keys = [k for k in (table.rows if self.keys is None else self.keys) if k in table.rows]
        if self.below is not None:
            keys = [k for k in keys if table.tag(k, "v") is not None and int(table.tag(k, "v")) < self.below]
        if self.field:
            keys = [k for k in keys if self.field in table.rows[k][1]]
        if self.tag:
            keys = [k for k in keys if self.tag in table.rows[k][0]]
        for key in keys:
            tags, fields = table.take(key, self.field or self.tag)
            if self.field:
                table.put(key, tags, {f: cell for f, cell in fields.items() if f != self.field})
            elif self.tag:
                table.put(key, {t: v for t, v in tags.items() if t != self.tag}, fields)
        return len(keys)


# ---------------------------------------------------------------- tables

class Table:
    """Rows in their order, key: (tags, fields); fields are name: (version, size). A row is never changed, only replaced, so that a
    copy of the dictionary is a copy of the table."""

    def __init__(self, rows=(), digest=0, size=0):
        self.rows, self.digest, self.size = dict(rows), digest, size

    def copy(self):
        return Table(self.rows, self.digest, self.size)

    @staticmethod
    def row_digest(key, tags, fields):
        return hash((key, frozenset(tags.items()), frozenset(fields.items())))

    def tag(self, key, name):
        return self.rows[key][0].get(name) if key in self.rows else None

    def put(self, key, tags, fields):
        self.rows[key] = tags, fields
        self.digest ^= self.row_digest(key, tags, fields)
        self.size += sum(size for _, size in fields.values())

    def take(self, key, stays=False):
        """The row goes; with `stays`, it keeps its place for another."""
        tags, fields = self.rows[key] if stays else self.rows.pop(key)
        self.digest ^= self.row_digest(key, tags, fields)
        self.size -= sum(size for _, size in fields.values())
        return tags, fields

    def write(self, key, tags, fields):
        was = self.take(key, True) if key in self.rows else ({}, {})
        self.put(key, {**was[0], **tags}, {**was[1], **fields})

    def with_field(self, field):
        return [key for key, (_, fields) in self.rows.items() if field in fields]

    def difference(self, other):
        """In words, from what this one has to what the other one has."""
        missing = [k for k in self.rows if k not in other.rows]
        more = [k for k in other.rows if k not in self.rows]
        changed = [(k, self.rows[k], other.rows[k]) for k in self.rows if k in other.rows and self.rows[k] != other.rows[k]]
        order = "" if missing or more or list(self.rows) == list(other.rows) else ", in another order"
        return "%d missing %s, %d too many %s, %d differ %s%s" % (
            len(missing), missing[:5], len(more), more[:5], len(changed), changed[:3], order)


def same(a, b):
    return a.rows == b.rows and list(a.rows) == list(b.rows)


def read_table(line, partition):
    """As the server has it; every value is looked at, and the counts that the server keeps have to fit."""
    table, cursor = Table(), b"0"
    while True:
        cursor, entries = line.call("TQ.LIST", partition, "CURSOR", cursor, "COUNT", 1000, "WITH", "TAGS", "WITH", "FIELDS")
        keys = [key for key, _, _ in entries]
        fields = list(KINDS)
        found = line.call("TQ.MGET", partition, "KEYS", len(keys), *keys, "FIELDS", len(fields), *fields) if keys else []
        for (key, tags, produced), cells in zip(entries, found):
            there = {f: version_of(key, f, cell) for f, cell in zip(fields, cells) if cell is not None}
            expect(sorted(there) == sorted(f.decode() for f in produced), key, "has", sorted(there), "lists", produced)
            expect(key not in table.rows, key, "is listed twice")
            table.put(key, {t.decode(): v for t, v in pairs(tags).items()}, there)
        if cursor == b"0":
            break
    expect(line.call("TQ.COUNT", partition) == len(table.rows), "COUNT says", line.call("TQ.COUNT", partition), "of", len(table.rows))
    for f in KINDS:
        n = len(table.with_field(f))
        expect(line.call("TQ.COUNT", partition, "FIELDS", 1, f) == n, "COUNT of", f, "is not", n)
    return table


def read_status(line, partition):
    try:
        return pairs(line.call("TQ.STATUS", partition))
    except Failure as e:
        expect(str(e).startswith("NOPART"), "STATUS says", e)
        return None


# ---------------------------------------------------------------- tasks

def read_task(line, partition, task):
    """At one moment: which keys are ready, in order, and which leases there are: id: (samples, milliseconds left)."""
    line.call("MULTI")
    line.call("TQ.SAMPLE", partition, task, "COUNT", 1000000, "ATLEAST", 1, "FIELDS", 1, "a", "KEEP", "AS", "KEYS")
    line.call("TQ.LEASES", partition, "TASK", task)
    ready, leases = line.call("EXEC")
    if isinstance(leases, Failure):
        expect(str(leases).startswith("NOPART"), "LEASES says", leases)
        leases = []
    expect(not isinstance(ready, Failure), "SAMPLE KEEP says", ready)
    found = {}
    for lease in map(pairs, leases):
        found[lease[b"lease"]] = lease[b"samples"], lease[b"left-ms"]
    return ready or [], found


class Once:
    """A task that takes without leases."""

    def __init__(self, partition, name):
        self.partition, self.name, self.lock = partition, name, threading.Lock()
        self.had = set()
        self.pending = []  # counts that were asked for and not answered

    def record(self, keys):
        with self.lock:
            again = self.had.intersection(keys)
            expect(not again and len(set(keys)) == len(keys), self.partition, self.name, "was given again:", sorted(again)[:5])
            self.had.update(keys)

    def check(self, line, table, cleared):
        """After a restart. What has gone without an answer was taken by requests that had none: by each of them wholly, or not at
        all; if nothing was cleared meanwhile, the numbers show it."""
        ready, leases = read_task(line, self.partition, self.name)
        expect(not leases, "leases of a task without:", leases)
        again = self.had.intersection(ready)
        expect(not again, self.partition, self.name, "would be given again:", sorted(again)[:5])
        expect(ready == [k for k in table.with_field("a") if k in set(ready)], "ready out of order, or what is not there")
        gone = set(table.with_field("a")).difference(ready, self.had)
        sums = {0}
        for n in self.pending:
            sums |= {s + n for s in sums}
        expect(len(gone) <= max(sums) if cleared else len(gone) in sums, self.partition, self.name, "is not given",
               sorted(gone)[:5], "and more:", len(gone), "with", self.pending, "not answered")
        self.pending = []
        self.had.intersection_update(table.rows)
        self.had |= gone
        status = read_status(line, self.partition)
        row = pairs(status[b"tasks"]).get(self.name.encode()) if status else None
        said = pairs(row)[b"consumed"] if row else 0
        if not cleared:
            expect(said == len(self.had), self.partition, self.name, "has consumed", said, "not", len(self.had))
        return len(gone)


class Lease:
    def __init__(self, keys, until):
        self.keys, self.until = set(keys), until  # `until`: it can't have ended before
        self.doing = None  # ack, nack, extend, or the keys that are given back: sent, not answered


class Lent:
    """A task that takes with leases."""

    def __init__(self, partition, name):
        self.partition, self.name, self.lock = partition, name, threading.Lock()
        self.acknowledged = {}  # by which lease
        self.leases = {}
        self.unsure = set()  # in a lease that nobody was told of, or acknowledged without an answer
        self.unknown = set()  # leases that nobody was told of
        self.pending = []

    def record(self, id_, keys, until, now):
        """Consumers write down what they get in another order than they got it. Ids rise: what a later lease has, this one lost."""
        with self.lock:
            expect(len(set(keys)) == len(keys), self.partition, self.name, "was given the same twice:", keys)
            this = Lease(keys, until)
            self.unsure.difference_update(keys)
            again = {k for k in this.keys.intersection(self.acknowledged) if int(self.acknowledged[k]) < int(id_)}
            expect(not again, self.partition, self.name, "acknowledged, and given again:", sorted(again)[:5])
            self.lose(id_, this, this.keys.intersection(self.acknowledged), now)
            for other, lease in self.leases.items():
                both = lease.keys & this.keys
                if int(other) < int(id_):
                    self.lose(other, lease, both, now)
                else:
                    self.lose(id_, this, both, now)
            self.leases[id_] = this

    def lose(self, id_, lease, keys, now):
        gives_back = lease.doing == "nack" or isinstance(lease.doing, list)
        expect(not keys or gives_back or now >= lease.until, self.partition, self.name, "given again",
               lease.until - now, "s before the end of lease", id_, sorted(keys)[:5])
        lease.keys -= keys

    def acknowledge(self, id_, keys):
        self.acknowledged.update(dict.fromkeys(keys, id_))

    def check(self, line, table, clock):
        """After a restart."""
        ready, listed = read_task(line, self.partition, self.name)
        now = clock()
        ready_set, with_a = set(ready), set(table.with_field("a"))
        expect(ready == [k for k in table.with_field("a") if k in ready_set], "ready out of order, or what is not there")
        for id_, lease in list(self.leases.items()):
            lease.keys.intersection_update(table.rows)
            self.check_lease(id_, lease, listed, ready_set, now)
        again = ready_set.intersection(self.acknowledged)
        expect(not again, self.partition, self.name, "acknowledged, and would be given again:", sorted(again)[:5])
        held = set().union(*[lease.keys for lease in self.leases.values()])
        expect(not held & ready_set, self.partition, self.name, "leased, and would be given:", sorted(held & ready_set)[:5])
        gone = with_a.difference(ready_set, self.acknowledged, held, self.unsure)
        untold = {i: n for i, (n, _) in listed.items() if i not in self.leases and i not in self.unknown}
        expect(len(untold) <= len(self.pending), self.partition, self.name, "has leases", untold, "with", self.pending, "not answered")
        expect(all(n <= max(self.pending) for n in untold.values()), "leases", untold, "with", self.pending, "not answered")
        expect(len(gone) <= sum(untold.values()), self.partition, self.name, "is not given", sorted(gone)[:5], "and more:",
               len(gone), "leases that nobody was told of have", untold)
        self.unknown = (self.unknown | set(untold)).intersection(listed)
        self.unsure = (self.unsure | gone).intersection(table.rows) - ready_set
        self.acknowledged = {k: id_ for k, id_ in self.acknowledged.items() if k in table.rows}
        self.pending = []
        return len(listed)

    def check_lease(self, id_, lease, listed, ready, now):
        doing, lease.doing = lease.doing, None
        before_its_end = now < lease.until
        if id_ in listed:
            n, left = listed[id_]
            possible = [len(lease.keys)]
            if isinstance(doing, list):
                possible.append(len(lease.keys.difference(doing)))
                if n != possible[0]:
                    lease.keys.difference_update(doing)
            expect(n in possible, self.partition, self.name, "lease", id_, "has", n, "samples, not", possible)
            return
        del self.leases[id_]
        if not lease.keys:
            return
        if doing == "ack":
            if before_its_end:
                expect(not lease.keys & ready, "an acknowledgement was applied in part: lease", id_)
                self.acknowledge(id_, lease.keys)
            else:
                self.unsure |= lease.keys - ready
        elif doing is None or doing == "extend":
            expect(not before_its_end, self.partition, self.name, "lost lease", id_, "of", len(lease.keys), "samples",
                   lease.until - now, "s before its end")
