#!/usr/bin/env python3
"""The system catalogs as clients use them, against a running server.

    test_catalog.py HOST PORT [--reference 'host=... port=... user=... dbname=...']

Runs psql's backslash commands (psql sends its catalog queries), reflection by SQLAlchemy when it is installed, and a
scan of every system relation. With --reference the answers for one set of objects must be those of a PostgreSQL 15.
Needs psql 15.
"""
import argparse
import os
import subprocess
import sys

import psycopg2

SCHEMA = "test_catalog"

OBJECTS = """
create table p (id bigserial primary key, a int not null default 5, b text default 'x', c varchar(20) unique,
                d numeric(10,2), e timestamptz default now(), constraint pos check (a > 0));
create table ch (id int generated always as identity primary key, pid bigint references p(id),
                 "Odd" bool default false, g int generated always as (1+2) stored);
create index ch_pid on ch (pid desc, "Odd");
create sequence sq increment 5;
create table t2 (x uuid, y bytea, z date, arr int[]);
create view v as select p.id, p.b from p where (p.a > 1)
"""

# Everything but owners and sizes is compared word by word.
COMMANDS = [r"\d p", r"\d ch", r"\d sq", r"\d ch_pid", r"\d t2", r"\d v", r"\dt", r"\di", r"\ds", r"\dv", r"\d"]
# These must work; what they show differs by nature (owners, extensions, encodings, sizes).
WORKING = [r"\l", r"\dn", r"\du", r"\dt+", r"\d+ p", r"\d+ ch", r"\dp", r"\dT", r"\df abs", r"\dx", r"\db", r"\dA",
           r"\do =", r"\da count", r"\dF", r"\dRp", r"\dX", r"\dm", r"\dE", r"\dew", r"\dy", r"\l+", r"\sv v"]

QUERIES = [
    "select relname, relkind, relnatts, relchecks, relhasindex, relhastriggers from pg_class c join pg_namespace n on"
    " n.oid = relnamespace where nspname = '%s' order by 1" % SCHEMA,
    "select attname, format_type(atttypid, atttypmod), attnum, attnotnull, atthasdef, attidentity, attgenerated from"
    " pg_attribute where attrelid = 'p'::regclass and attnum > 0 order by attnum",
    "select conname, contype, pg_get_constraintdef(oid), conkey, confkey from pg_constraint where conrelid in"
    " ('p'::regclass, 'ch'::regclass) order by 1",
    "select pg_get_indexdef(indexrelid), indkey, indoption, indisunique, indisprimary from pg_index where indrelid in"
    " ('p'::regclass, 'ch'::regclass) order by 1",
    "select pg_get_indexdef(indexrelid, 1, true), indkey[0], array_upper(indkey, 1) from pg_index where indrelid ="
    " 'ch'::regclass order by 1",
    "select pg_get_expr(adbin, adrelid), adnum from pg_attrdef where adrelid = 'p'::regclass order by adnum",
    "select pg_get_serial_sequence('p', 'id'), pg_get_serial_sequence('ch', 'id'), pg_get_serial_sequence('p', 'a')",
    "select 'p'::regclass, 'p_pkey'::regclass::text, to_regclass('nope'), '%s'::regnamespace" % SCHEMA,
    "select column_name, ordinal_position, column_default, is_nullable, data_type, character_maximum_length,"
    " numeric_precision, numeric_scale, datetime_precision, udt_name, is_identity, identity_generation, is_generated"
    " from information_schema.columns where table_schema = '%s' and table_name in ('p', 'ch', 't2') order by"
    " table_name, ordinal_position" % SCHEMA,
    "select table_name, table_type, is_insertable_into from information_schema.tables where table_schema = '%s' and"
    " table_type = 'BASE TABLE' order by 1" % SCHEMA,
    "select constraint_name, constraint_type from information_schema.table_constraints where table_schema = '%s' and"
    " constraint_name not like '%%not_null' order by 1" % SCHEMA,
    "select constraint_name, column_name, ordinal_position, position_in_unique_constraint from"
    " information_schema.key_column_usage where table_schema = '%s' order by 1, 3" % SCHEMA,
    "select constraint_name, unique_constraint_name, match_option, update_rule, delete_rule from"
    " information_schema.referential_constraints where constraint_schema = '%s'" % SCHEMA,
    "select sequence_name, data_type, start_value, increment, maximum_value from information_schema.sequences where"
    " sequence_schema = '%s' order by 1" % SCHEMA,
    "select seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle from pg_sequence where"
    " seqrelid = 'sq'::regclass",
    "select refobjid::regclass, refobjsubid, deptype from pg_depend where objid = 'p_id_seq'::regclass and classid ="
    " 'pg_class'::regclass and refclassid = 'pg_class'::regclass order by 1",
    "select indexdef from pg_indexes where schemaname = '%s' order by 1" % SCHEMA,
    "select tablename, hasindexes from pg_tables where schemaname = '%s' order by 1" % SCHEMA,
    "select typname, typlen, typcategory, typelem, typarray, typinput::oid, typtype from pg_type where oid in"
    " (16, 20, 21, 23, 25, 26, 114, 1043, 1184, 1700, 2205, 2950, 1007) order by oid",
]


def sql(dsn, text, autocommit=True):
    c = psycopg2.connect(dsn)
    c.autocommit = autocommit
    cur = c.cursor()
    cur.execute("set search_path to %s" % SCHEMA)
    cur.execute(text)
    rows = cur.fetchall() if cur.description else None
    c.close()
    return rows


def make(dsn):
    c = psycopg2.connect(dsn)
    c.autocommit = True
    cur = c.cursor()
    cur.execute("drop schema if exists %s cascade" % SCHEMA)
    cur.execute("create schema %s" % SCHEMA)
    cur.execute("set search_path to %s" % SCHEMA)
    for one in OBJECTS.split(";"):
        cur.execute(one)
    c.close()


def drop(dsn):
    c = psycopg2.connect(dsn)
    c.autocommit = True
    c.cursor().execute("drop schema %s cascade" % SCHEMA)
    c.close()


def psql(dsn, command):
    env = dict(os.environ, PGOPTIONS="")
    r = subprocess.run(["psql", "-X", "-A", "-d", dsn, "-v", "ON_ERROR_STOP=1", "-c",
                        "set search_path to %s" % SCHEMA, "-c", command],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, env=env, timeout=60)
    return r.returncode, r.stdout


def without_owner(text, owner):
    return [line.replace("|" + owner, "|OWNER") for line in text.splitlines()]


def reflection(dsn):
    from sqlalchemy import create_engine, inspect
    parts = psycopg2.extensions.parse_dsn(dsn)
    e = create_engine("postgresql+psycopg2://%s@%s:%s/%s" % (parts["user"], parts["host"], parts["port"],
                                                             parts["dbname"]))
    i = inspect(e)
    out = {"tables": sorted(i.get_table_names(SCHEMA)), "views": i.get_view_names(SCHEMA),
           "sequences": sorted(i.get_sequence_names(SCHEMA))}
    for t in ("p", "ch", "t2"):
        out[t] = [[(k, str(v).replace("(1 + 2)", "1 + 2")) for k, v in sorted(c.items())]
                  for c in i.get_columns(t, SCHEMA)]
        out[t + " keys"] = [i.get_pk_constraint(t, SCHEMA), i.get_foreign_keys(t, SCHEMA), i.get_indexes(t, SCHEMA),
                            i.get_unique_constraints(t, SCHEMA), i.get_check_constraints(t, SCHEMA)]
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("host")
    p.add_argument("port")
    p.add_argument("--user", default="sherd")
    p.add_argument("--dbname", default="sherd")
    p.add_argument("--reference")
    args = p.parse_args()
    ours = "host=%s port=%s user=%s dbname=%s" % (args.host, args.port, args.user, args.dbname)
    ref = args.reference
    failures = []
    make(ours)
    if ref:
        make(ref)
        ref_user = psycopg2.extensions.parse_dsn(ref)["user"]
    for c in COMMANDS + WORKING:
        code, text = psql(ours, c)
        if code != 0 or "ERROR" in text:
            failures.append("%s: %s" % (c, text.strip()))
        elif ref and c in COMMANDS:
            want = without_owner(psql(ref, c)[1], ref_user)
            if without_owner(text, args.user) != want:
                failures.append("%s differs:\n%s\n-- reference:\n%s" % (c, text, "\n".join(want)))
    for q in QUERIES:
        try:
            got = sql(ours, q)
            if ref and got != sql(ref, q):
                failures.append("%s:\n  %s\n  reference %s" % (q, got, sql(ref, q)))
        except psycopg2.Error as e:
            failures.append("%s: %s" % (q, e))
    relations = sql(ours, "select nspname || '.' || relname from pg_class c join pg_namespace n on n.oid = relnamespace"
                          " where nspname in ('pg_catalog', 'information_schema') and relkind in ('r', 'v')")
    for (r,) in relations:
        try:
            sql(ours, "select * from %s" % r)
        except psycopg2.Error as e:
            failures.append("%s: %s" % (r, e))
    try:
        got = reflection(ours)
        want = reflection(ref) if ref else got
        for k in got:
            if got[k] != want[k]:
                failures.append("reflection of %s:\n  %s\n  reference %s" % (k, got[k], want[k]))
    except ImportError:
        print("SQLAlchemy is not installed: reflection not tested")
    drop(ours)
    if ref:
        drop(ref)
    print("%d commands, %d queries, %d relations, %d failures" % (len(COMMANDS + WORKING), len(QUERIES),
                                                                  len(relations), len(failures)))
    for f in failures:
        print("FAILED", f)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
