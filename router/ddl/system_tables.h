/*
 * The system relations there are: names, oids, columns in order with their types, all as in
 * PostgreSQL 15 (and sherd's own at the end). Types that we have not are told by the nearest one:
 * xid as oid, pg_node_tree, inet and pg_lsn as text, aclitem[] as text[]; domains of
 * information_schema by what they stand for.
 *
 *   T(schema, name, oid, kind ('r' table, 'v' view), fill, columns)     columns: C(name, type) ...
 *
 * fill names system_fill_<fill>(); "nothing" is a relation that is truly empty here (there are no
 * triggers, no extensions, no enums ...). What exists but is not known (pg_locks, statistics of the
 * buffer cache) has no relation at all: an error tells more than a wrong answer.
 */
#ifndef ROUTER_DDL_SYSTEM_TABLES_H
#define ROUTER_DDL_SYSTEM_TABLES_H

/* clang-format off */
#define SYSTEM_TABLES(T) \
    T(pg_catalog, pg_am, 2601, 'r', pg_am, \
      C(oid, OID) C(amname, NAME) C(amhandler, REGPROC) C(amtype, CHAR)) \
    T(pg_catalog, pg_attrdef, 2604, 'r', pg_attrdef, \
      C(oid, OID) C(adrelid, OID) C(adnum, INT2) C(adbin, TEXT)) \
    T(pg_catalog, pg_attribute, 1249, 'r', pg_attribute, \
      C(attrelid, OID) C(attname, NAME) C(atttypid, OID) C(attstattarget, INT4) C(attlen, INT2) \
      C(attnum, INT2) C(attndims, INT4) C(attcacheoff, INT4) C(atttypmod, INT4) \
      C(attbyval, BOOL) C(attalign, CHAR) C(attstorage, CHAR) C(attcompression, CHAR) \
      C(attnotnull, BOOL) C(atthasdef, BOOL) C(atthasmissing, BOOL) C(attidentity, CHAR) \
      C(attgenerated, CHAR) C(attisdropped, BOOL) C(attislocal, BOOL) C(attinhcount, INT4) \
      C(attcollation, OID) C(attacl, TEXT_ARRAY) C(attoptions, TEXT_ARRAY) \
      C(attfdwoptions, TEXT_ARRAY) C(attmissingval, TEXT)) \
    T(pg_catalog, pg_auth_members, 1261, 'r', nothing, \
      C(roleid, OID) C(member, OID) C(grantor, OID) C(admin_option, BOOL)) \
    T(pg_catalog, pg_authid, 1260, 'r', pg_authid, \
      C(oid, OID) C(rolname, NAME) C(rolsuper, BOOL) C(rolinherit, BOOL) C(rolcreaterole, BOOL) \
      C(rolcreatedb, BOOL) C(rolcanlogin, BOOL) C(rolreplication, BOOL) C(rolbypassrls, BOOL) \
      C(rolconnlimit, INT4) C(rolpassword, TEXT) C(rolvaliduntil, TIMESTAMPTZ)) \
    T(pg_catalog, pg_available_extensions, 12081, 'v', nothing, \
      C(name, NAME) C(default_version, TEXT) C(installed_version, TEXT) C(comment, TEXT)) \
    T(pg_catalog, pg_class, 1259, 'r', pg_class, \
      C(oid, OID) C(relname, NAME) C(relnamespace, OID) C(reltype, OID) C(reloftype, OID) \
      C(relowner, OID) C(relam, OID) C(relfilenode, OID) C(reltablespace, OID) C(relpages, INT4) \
      C(reltuples, FLOAT4) C(relallvisible, INT4) C(reltoastrelid, OID) C(relhasindex, BOOL) \
      C(relisshared, BOOL) C(relpersistence, CHAR) C(relkind, CHAR) C(relnatts, INT2) \
      C(relchecks, INT2) C(relhasrules, BOOL) C(relhastriggers, BOOL) C(relhassubclass, BOOL) \
      C(relrowsecurity, BOOL) C(relforcerowsecurity, BOOL) C(relispopulated, BOOL) \
      C(relreplident, CHAR) C(relispartition, BOOL) C(relrewrite, OID) C(relfrozenxid, OID) \
      C(relminmxid, OID) C(relacl, TEXT_ARRAY) C(reloptions, TEXT_ARRAY) C(relpartbound, TEXT)) \
    T(pg_catalog, pg_collation, 3456, 'r', pg_collation, \
      C(oid, OID) C(collname, NAME) C(collnamespace, OID) C(collowner, OID) \
      C(collprovider, CHAR) C(collisdeterministic, BOOL) C(collencoding, INT4) \
      C(collcollate, TEXT) C(collctype, TEXT) C(colliculocale, TEXT) C(collversion, TEXT)) \
    T(pg_catalog, pg_constraint, 2606, 'r', pg_constraint, \
      C(oid, OID) C(conname, NAME) C(connamespace, OID) C(contype, CHAR) C(condeferrable, BOOL) \
      C(condeferred, BOOL) C(convalidated, BOOL) C(conrelid, OID) C(contypid, OID) \
      C(conindid, OID) C(conparentid, OID) C(confrelid, OID) C(confupdtype, CHAR) \
      C(confdeltype, CHAR) C(confmatchtype, CHAR) C(conislocal, BOOL) C(coninhcount, INT4) \
      C(connoinherit, BOOL) C(conkey, INT2_ARRAY) C(confkey, INT2_ARRAY) C(conpfeqop, OID_ARRAY) \
      C(conppeqop, OID_ARRAY) C(conffeqop, OID_ARRAY) C(confdelsetcols, INT2_ARRAY) \
      C(conexclop, OID_ARRAY) C(conbin, TEXT)) \
    T(pg_catalog, pg_conversion, 2607, 'r', nothing, \
      C(oid, OID) C(conname, NAME) C(connamespace, OID) C(conowner, OID) C(conforencoding, INT4) \
      C(contoencoding, INT4) C(conproc, REGPROC) C(condefault, BOOL)) \
    T(pg_catalog, pg_database, 1262, 'r', pg_database, \
      C(oid, OID) C(datname, NAME) C(datdba, OID) C(encoding, INT4) C(datlocprovider, CHAR) \
      C(datistemplate, BOOL) C(datallowconn, BOOL) C(datconnlimit, INT4) C(datfrozenxid, OID) \
      C(datminmxid, OID) C(dattablespace, OID) C(datcollate, TEXT) C(datctype, TEXT) \
      C(daticulocale, TEXT) C(datcollversion, TEXT) C(datacl, TEXT_ARRAY)) \
    T(pg_catalog, pg_db_role_setting, 2964, 'r', nothing, \
      C(setdatabase, OID) C(setrole, OID) C(setconfig, TEXT_ARRAY)) \
    T(pg_catalog, pg_default_acl, 826, 'r', nothing, \
      C(oid, OID) C(defaclrole, OID) C(defaclnamespace, OID) C(defaclobjtype, CHAR) \
      C(defaclacl, TEXT_ARRAY)) \
    T(pg_catalog, pg_depend, 2608, 'r', pg_depend, \
      C(classid, OID) C(objid, OID) C(objsubid, INT4) C(refclassid, OID) C(refobjid, OID) \
      C(refobjsubid, INT4) C(deptype, CHAR)) \
    T(pg_catalog, pg_description, 2609, 'r', nothing, \
      C(objoid, OID) C(classoid, OID) C(objsubid, INT4) C(description, TEXT)) \
    T(pg_catalog, pg_enum, 3501, 'r', nothing, \
      C(oid, OID) C(enumtypid, OID) C(enumsortorder, FLOAT4) C(enumlabel, NAME)) \
    T(pg_catalog, pg_event_trigger, 3466, 'r', nothing, \
      C(oid, OID) C(evtname, NAME) C(evtevent, NAME) C(evtowner, OID) C(evtfoid, OID) \
      C(evtenabled, CHAR) C(evttags, TEXT_ARRAY)) \
    T(pg_catalog, pg_extension, 3079, 'r', nothing, \
      C(oid, OID) C(extname, NAME) C(extowner, OID) C(extnamespace, OID) C(extrelocatable, BOOL) \
      C(extversion, TEXT) C(extconfig, OID_ARRAY) C(extcondition, TEXT_ARRAY)) \
    T(pg_catalog, pg_foreign_data_wrapper, 2328, 'r', nothing, \
      C(oid, OID) C(fdwname, NAME) C(fdwowner, OID) C(fdwhandler, OID) C(fdwvalidator, OID) \
      C(fdwacl, TEXT_ARRAY) C(fdwoptions, TEXT_ARRAY)) \
    T(pg_catalog, pg_foreign_server, 1417, 'r', nothing, \
      C(oid, OID) C(srvname, NAME) C(srvowner, OID) C(srvfdw, OID) C(srvtype, TEXT) \
      C(srvversion, TEXT) C(srvacl, TEXT_ARRAY) C(srvoptions, TEXT_ARRAY)) \
    T(pg_catalog, pg_foreign_table, 3118, 'r', nothing, \
      C(ftrelid, OID) C(ftserver, OID) C(ftoptions, TEXT_ARRAY)) \
    T(pg_catalog, pg_group, 12010, 'v', nothing, \
      C(groname, NAME) C(grosysid, OID) C(grolist, OID_ARRAY)) \
    T(pg_catalog, pg_index, 2610, 'r', pg_index, \
      C(indexrelid, OID) C(indrelid, OID) C(indnatts, INT2) C(indnkeyatts, INT2) \
      C(indisunique, BOOL) C(indnullsnotdistinct, BOOL) C(indisprimary, BOOL) \
      C(indisexclusion, BOOL) C(indimmediate, BOOL) C(indisclustered, BOOL) C(indisvalid, BOOL) \
      C(indcheckxmin, BOOL) C(indisready, BOOL) C(indislive, BOOL) C(indisreplident, BOOL) \
      C(indkey, INT2VECTOR) C(indcollation, OIDVECTOR) C(indclass, OIDVECTOR) \
      C(indoption, INT2VECTOR) C(indexprs, TEXT) C(indpred, TEXT)) \
    T(pg_catalog, pg_indexes, 12043, 'v', pg_indexes, \
      C(schemaname, NAME) C(tablename, NAME) C(indexname, NAME) C(tablespace, NAME) \
      C(indexdef, TEXT)) \
    T(pg_catalog, pg_inherits, 2611, 'r', nothing, \
      C(inhrelid, OID) C(inhparent, OID) C(inhseqno, INT4) C(inhdetachpending, BOOL)) \
    T(pg_catalog, pg_init_privs, 3394, 'r', nothing, \
      C(objoid, OID) C(classoid, OID) C(objsubid, INT4) C(privtype, CHAR) \
      C(initprivs, TEXT_ARRAY)) \
    T(pg_catalog, pg_language, 2612, 'r', pg_language, \
      C(oid, OID) C(lanname, NAME) C(lanowner, OID) C(lanispl, BOOL) C(lanpltrusted, BOOL) \
      C(lanplcallfoid, OID) C(laninline, OID) C(lanvalidator, OID) C(lanacl, TEXT_ARRAY)) \
    T(pg_catalog, pg_largeobject, 2613, 'r', nothing, \
      C(loid, OID) C(pageno, INT4) C(data, BYTEA)) \
    T(pg_catalog, pg_largeobject_metadata, 2995, 'r', nothing, \
      C(oid, OID) C(lomowner, OID) C(lomacl, TEXT_ARRAY)) \
    T(pg_catalog, pg_matviews, 12038, 'v', nothing, \
      C(schemaname, NAME) C(matviewname, NAME) C(matviewowner, NAME) C(tablespace, NAME) \
      C(hasindexes, BOOL) C(ispopulated, BOOL) C(definition, TEXT)) \
    T(pg_catalog, pg_namespace, 2615, 'r', pg_namespace, \
      C(oid, OID) C(nspname, NAME) C(nspowner, OID) C(nspacl, TEXT_ARRAY)) \
    T(pg_catalog, pg_opclass, 2616, 'r', pg_opclass, \
      C(oid, OID) C(opcmethod, OID) C(opcname, NAME) C(opcnamespace, OID) C(opcowner, OID) \
      C(opcfamily, OID) C(opcintype, OID) C(opcdefault, BOOL) C(opckeytype, OID)) \
    T(pg_catalog, pg_operator, 2617, 'r', pg_operator, \
      C(oid, OID) C(oprname, NAME) C(oprnamespace, OID) C(oprowner, OID) C(oprkind, CHAR) \
      C(oprcanmerge, BOOL) C(oprcanhash, BOOL) C(oprleft, OID) C(oprright, OID) \
      C(oprresult, OID) C(oprcom, OID) C(oprnegate, OID) C(oprcode, REGPROC) C(oprrest, REGPROC) \
      C(oprjoin, REGPROC)) \
    T(pg_catalog, pg_partitioned_table, 3350, 'r', nothing, \
      C(partrelid, OID) C(partstrat, CHAR) C(partnatts, INT2) C(partdefid, OID) \
      C(partattrs, INT2VECTOR) C(partclass, OIDVECTOR) C(partcollation, OIDVECTOR) \
      C(partexprs, TEXT)) \
    T(pg_catalog, pg_policies, 12018, 'v', nothing, \
      C(schemaname, NAME) C(tablename, NAME) C(policyname, NAME) C(permissive, TEXT) \
      C(roles, NAME_ARRAY) C(cmd, TEXT) C(qual, TEXT) C(with_check, TEXT)) \
    T(pg_catalog, pg_policy, 3256, 'r', nothing, \
      C(oid, OID) C(polname, NAME) C(polrelid, OID) C(polcmd, CHAR) C(polpermissive, BOOL) \
      C(polroles, OID_ARRAY) C(polqual, TEXT) C(polwithcheck, TEXT)) \
    T(pg_catalog, pg_prepared_xacts, 12090, 'v', nothing, \
      C(transaction, OID) C(gid, TEXT) C(prepared, TIMESTAMPTZ) C(owner, NAME) C(database, NAME)) \
    T(pg_catalog, pg_proc, 1255, 'r', pg_proc, \
      C(oid, OID) C(proname, NAME) C(pronamespace, OID) C(proowner, OID) C(prolang, OID) \
      C(procost, FLOAT4) C(prorows, FLOAT4) C(provariadic, OID) C(prosupport, REGPROC) \
      C(prokind, CHAR) C(prosecdef, BOOL) C(proleakproof, BOOL) C(proisstrict, BOOL) \
      C(proretset, BOOL) C(provolatile, CHAR) C(proparallel, CHAR) C(pronargs, INT2) \
      C(pronargdefaults, INT2) C(prorettype, OID) C(proargtypes, OIDVECTOR) \
      C(proallargtypes, OID_ARRAY) C(proargmodes, CHAR_ARRAY) C(proargnames, TEXT_ARRAY) \
      C(proargdefaults, TEXT) C(protrftypes, OID_ARRAY) C(prosrc, TEXT) C(probin, TEXT) \
      C(prosqlbody, TEXT) C(proconfig, TEXT_ARRAY) C(proacl, TEXT_ARRAY)) \
    T(pg_catalog, pg_publication, 6104, 'r', nothing, \
      C(oid, OID) C(pubname, NAME) C(pubowner, OID) C(puballtables, BOOL) C(pubinsert, BOOL) \
      C(pubupdate, BOOL) C(pubdelete, BOOL) C(pubtruncate, BOOL) C(pubviaroot, BOOL)) \
    T(pg_catalog, pg_publication_namespace, 6237, 'r', nothing, \
      C(oid, OID) C(pnpubid, OID) C(pnnspid, OID)) \
    T(pg_catalog, pg_publication_rel, 6106, 'r', nothing, \
      C(oid, OID) C(prpubid, OID) C(prrelid, OID) C(prqual, TEXT) C(prattrs, INT2VECTOR)) \
    T(pg_catalog, pg_publication_tables, 12068, 'v', nothing, \
      C(pubname, NAME) C(schemaname, NAME) C(tablename, NAME) C(attnames, NAME_ARRAY) \
      C(rowfilter, TEXT)) \
    T(pg_catalog, pg_range, 3541, 'r', nothing, \
      C(rngtypid, OID) C(rngsubtype, OID) C(rngmultitypid, OID) C(rngcollation, OID) \
      C(rngsubopc, OID) C(rngcanonical, REGPROC) C(rngsubdiff, REGPROC)) \
    T(pg_catalog, pg_replication_origin, 6000, 'r', nothing, \
      C(roident, OID) C(roname, TEXT)) \
    T(pg_catalog, pg_replication_slots, 12257, 'v', nothing, \
      C(slot_name, NAME) C(plugin, NAME) C(slot_type, TEXT) C(datoid, OID) C(database, NAME) \
      C(temporary, BOOL) C(active, BOOL) C(active_pid, INT4) C(xmin, OID) C(catalog_xmin, OID) \
      C(restart_lsn, TEXT) C(confirmed_flush_lsn, TEXT) C(wal_status, TEXT) \
      C(safe_wal_size, INT8) C(two_phase, BOOL)) \
    T(pg_catalog, pg_rewrite, 2618, 'r', nothing, \
      C(oid, OID) C(rulename, NAME) C(ev_class, OID) C(ev_type, CHAR) C(ev_enabled, CHAR) \
      C(is_instead, BOOL) C(ev_qual, TEXT) C(ev_action, TEXT)) \
    T(pg_catalog, pg_roles, 12000, 'v', pg_roles, \
      C(rolname, NAME) C(rolsuper, BOOL) C(rolinherit, BOOL) C(rolcreaterole, BOOL) \
      C(rolcreatedb, BOOL) C(rolcanlogin, BOOL) C(rolreplication, BOOL) C(rolconnlimit, INT4) \
      C(rolpassword, TEXT) C(rolvaliduntil, TIMESTAMPTZ) C(rolbypassrls, BOOL) \
      C(rolconfig, TEXT_ARRAY) C(oid, OID)) \
    T(pg_catalog, pg_rules, 12023, 'v', nothing, \
      C(schemaname, NAME) C(tablename, NAME) C(rulename, NAME) C(definition, TEXT)) \
    T(pg_catalog, pg_seclabel, 3596, 'r', nothing, \
      C(objoid, OID) C(classoid, OID) C(objsubid, INT4) C(provider, TEXT) C(label, TEXT)) \
    T(pg_catalog, pg_seclabels, 12099, 'v', nothing, \
      C(objoid, OID) C(classoid, OID) C(objsubid, INT4) C(objtype, TEXT) C(objnamespace, OID) \
      C(objname, TEXT) C(provider, TEXT) C(label, TEXT)) \
    T(pg_catalog, pg_sequence, 2224, 'r', pg_sequence, \
      C(seqrelid, OID) C(seqtypid, OID) C(seqstart, INT8) C(seqincrement, INT8) C(seqmax, INT8) \
      C(seqmin, INT8) C(seqcache, INT8) C(seqcycle, BOOL)) \
    T(pg_catalog, pg_sequences, 12048, 'v', pg_sequences, \
      C(schemaname, NAME) C(sequencename, NAME) C(sequenceowner, NAME) C(data_type, REGTYPE) \
      C(start_value, INT8) C(min_value, INT8) C(max_value, INT8) C(increment_by, INT8) \
      C(cycle, BOOL) C(cache_size, INT8) C(last_value, INT8)) \
    T(pg_catalog, pg_settings, 12104, 'v', pg_settings, \
      C(name, TEXT) C(setting, TEXT) C(unit, TEXT) C(category, TEXT) C(short_desc, TEXT) \
      C(extra_desc, TEXT) C(context, TEXT) C(vartype, TEXT) C(source, TEXT) C(min_val, TEXT) \
      C(max_val, TEXT) C(enumvals, TEXT_ARRAY) C(boot_val, TEXT) C(reset_val, TEXT) \
      C(sourcefile, TEXT) C(sourceline, INT4) C(pending_restart, BOOL)) \
    T(pg_catalog, pg_shadow, 12005, 'v', pg_shadow, \
      C(usename, NAME) C(usesysid, OID) C(usecreatedb, BOOL) C(usesuper, BOOL) C(userepl, BOOL) \
      C(usebypassrls, BOOL) C(passwd, TEXT) C(valuntil, TIMESTAMPTZ) C(useconfig, TEXT_ARRAY)) \
    T(pg_catalog, pg_shdescription, 2396, 'r', nothing, \
      C(objoid, OID) C(classoid, OID) C(description, TEXT)) \
    T(pg_catalog, pg_shseclabel, 3592, 'r', nothing, \
      C(objoid, OID) C(classoid, OID) C(provider, TEXT) C(label, TEXT)) \
    T(pg_catalog, pg_stat_activity, 12222, 'v', pg_stat_activity, \
      C(datid, OID) C(datname, NAME) C(pid, INT4) C(leader_pid, INT4) C(usesysid, OID) \
      C(usename, NAME) C(application_name, TEXT) C(client_addr, TEXT) C(client_hostname, TEXT) \
      C(client_port, INT4) C(backend_start, TIMESTAMPTZ) C(xact_start, TIMESTAMPTZ) \
      C(query_start, TIMESTAMPTZ) C(state_change, TIMESTAMPTZ) C(wait_event_type, TEXT) \
      C(wait_event, TEXT) C(state, TEXT) C(backend_xid, OID) C(backend_xmin, OID) \
      C(query_id, INT8) C(query, TEXT) C(backend_type, TEXT)) \
    T(pg_catalog, pg_stat_all_indexes, 12183, 'v', stat_indexes, \
      C(relid, OID) C(indexrelid, OID) C(schemaname, NAME) C(relname, NAME) \
      C(indexrelname, NAME) C(idx_scan, INT8) C(idx_tup_read, INT8) C(idx_tup_fetch, INT8)) \
    T(pg_catalog, pg_stat_all_tables, 12142, 'v', stat_tables, \
      C(relid, OID) C(schemaname, NAME) C(relname, NAME) C(seq_scan, INT8) C(seq_tup_read, INT8) \
      C(idx_scan, INT8) C(idx_tup_fetch, INT8) C(n_tup_ins, INT8) C(n_tup_upd, INT8) \
      C(n_tup_del, INT8) C(n_tup_hot_upd, INT8) C(n_live_tup, INT8) C(n_dead_tup, INT8) \
      C(n_mod_since_analyze, INT8) C(n_ins_since_vacuum, INT8) C(last_vacuum, TIMESTAMPTZ) \
      C(last_autovacuum, TIMESTAMPTZ) C(last_analyze, TIMESTAMPTZ) \
      C(last_autoanalyze, TIMESTAMPTZ) C(vacuum_count, INT8) C(autovacuum_count, INT8) \
      C(analyze_count, INT8) C(autoanalyze_count, INT8)) \
    T(pg_catalog, pg_stat_replication, 12227, 'v', nothing, \
      C(pid, INT4) C(usesysid, OID) C(usename, NAME) C(application_name, TEXT) \
      C(client_addr, TEXT) C(client_hostname, TEXT) C(client_port, INT4) \
      C(backend_start, TIMESTAMPTZ) C(backend_xmin, OID) C(state, TEXT) C(sent_lsn, TEXT) \
      C(write_lsn, TEXT) C(flush_lsn, TEXT) C(replay_lsn, TEXT) C(write_lag, INTERVAL) \
      C(flush_lag, INTERVAL) C(replay_lag, INTERVAL) C(sync_priority, INT4) C(sync_state, TEXT) \
      C(reply_time, TIMESTAMPTZ)) \
    T(pg_catalog, pg_stat_user_indexes, 12192, 'v', stat_indexes, \
      C(relid, OID) C(indexrelid, OID) C(schemaname, NAME) C(relname, NAME) \
      C(indexrelname, NAME) C(idx_scan, INT8) C(idx_tup_read, INT8) C(idx_tup_fetch, INT8)) \
    T(pg_catalog, pg_stat_user_tables, 12161, 'v', stat_tables, \
      C(relid, OID) C(schemaname, NAME) C(relname, NAME) C(seq_scan, INT8) C(seq_tup_read, INT8) \
      C(idx_scan, INT8) C(idx_tup_fetch, INT8) C(n_tup_ins, INT8) C(n_tup_upd, INT8) \
      C(n_tup_del, INT8) C(n_tup_hot_upd, INT8) C(n_live_tup, INT8) C(n_dead_tup, INT8) \
      C(n_mod_since_analyze, INT8) C(n_ins_since_vacuum, INT8) C(last_vacuum, TIMESTAMPTZ) \
      C(last_autovacuum, TIMESTAMPTZ) C(last_analyze, TIMESTAMPTZ) \
      C(last_autoanalyze, TIMESTAMPTZ) C(vacuum_count, INT8) C(autovacuum_count, INT8) \
      C(analyze_count, INT8) C(autoanalyze_count, INT8)) \
    T(pg_catalog, pg_statistic, 2619, 'r', nothing, \
      C(starelid, OID) C(staattnum, INT2) C(stainherit, BOOL) C(stanullfrac, FLOAT4) \
      C(stawidth, INT4) C(stadistinct, FLOAT4) C(stakind1, INT2) C(stakind2, INT2) \
      C(stakind3, INT2) C(stakind4, INT2) C(stakind5, INT2) C(staop1, OID) C(staop2, OID) \
      C(staop3, OID) C(staop4, OID) C(staop5, OID) C(stacoll1, OID) C(stacoll2, OID) \
      C(stacoll3, OID) C(stacoll4, OID) C(stacoll5, OID) C(stanumbers1, FLOAT4_ARRAY) \
      C(stanumbers2, FLOAT4_ARRAY) C(stanumbers3, FLOAT4_ARRAY) C(stanumbers4, FLOAT4_ARRAY) \
      C(stanumbers5, FLOAT4_ARRAY) C(stavalues1, TEXT) C(stavalues2, TEXT) C(stavalues3, TEXT) \
      C(stavalues4, TEXT) C(stavalues5, TEXT)) \
    T(pg_catalog, pg_statistic_ext, 3381, 'r', nothing, \
      C(oid, OID) C(stxrelid, OID) C(stxname, NAME) C(stxnamespace, OID) C(stxowner, OID) \
      C(stxstattarget, INT4) C(stxkeys, INT2VECTOR) C(stxkind, CHAR_ARRAY) C(stxexprs, TEXT)) \
    T(pg_catalog, pg_statistic_ext_data, 3429, 'r', nothing, \
      C(stxoid, OID) C(stxdinherit, BOOL) C(stxdndistinct, TEXT) C(stxddependencies, TEXT) \
      C(stxdmcv, TEXT) C(stxdexpr, TEXT_ARRAY)) \
    T(pg_catalog, pg_stats, 12053, 'v', nothing, \
      C(schemaname, NAME) C(tablename, NAME) C(attname, NAME) C(inherited, BOOL) \
      C(null_frac, FLOAT4) C(avg_width, INT4) C(n_distinct, FLOAT4) C(most_common_vals, TEXT) \
      C(most_common_freqs, FLOAT4_ARRAY) C(histogram_bounds, TEXT) C(correlation, FLOAT4) \
      C(most_common_elems, TEXT) C(most_common_elem_freqs, FLOAT4_ARRAY) \
      C(elem_count_histogram, FLOAT4_ARRAY)) \
    T(pg_catalog, pg_stats_ext, 12058, 'v', nothing, \
      C(schemaname, NAME) C(tablename, NAME) C(statistics_schemaname, NAME) \
      C(statistics_name, NAME) C(statistics_owner, NAME) C(attnames, NAME_ARRAY) \
      C(exprs, TEXT_ARRAY) C(kinds, CHAR_ARRAY) C(inherited, BOOL) C(n_distinct, TEXT) \
      C(dependencies, TEXT) C(most_common_vals, TEXT_ARRAY) C(most_common_val_nulls, BOOL_ARRAY) \
      C(most_common_freqs, FLOAT8_ARRAY) C(most_common_base_freqs, FLOAT8_ARRAY)) \
    T(pg_catalog, pg_subscription, 6100, 'r', nothing, \
      C(oid, OID) C(subdbid, OID) C(subskiplsn, TEXT) C(subname, NAME) C(subowner, OID) \
      C(subenabled, BOOL) C(subbinary, BOOL) C(substream, BOOL) C(subtwophasestate, CHAR) \
      C(subdisableonerr, BOOL) C(subconninfo, TEXT) C(subslotname, NAME) C(subsynccommit, TEXT) \
      C(subpublications, TEXT_ARRAY)) \
    T(pg_catalog, pg_subscription_rel, 6102, 'r', nothing, \
      C(srsubid, OID) C(srrelid, OID) C(srsubstate, CHAR) C(srsublsn, TEXT)) \
    T(pg_catalog, pg_tables, 12033, 'v', pg_tables, \
      C(schemaname, NAME) C(tablename, NAME) C(tableowner, NAME) C(tablespace, NAME) \
      C(hasindexes, BOOL) C(hasrules, BOOL) C(hastriggers, BOOL) C(rowsecurity, BOOL)) \
    T(pg_catalog, pg_tablespace, 1213, 'r', pg_tablespace, \
      C(oid, OID) C(spcname, NAME) C(spcowner, OID) C(spcacl, TEXT_ARRAY) \
      C(spcoptions, TEXT_ARRAY)) \
    T(pg_catalog, pg_transform, 3576, 'r', nothing, \
      C(oid, OID) C(trftype, OID) C(trflang, OID) C(trffromsql, REGPROC) C(trftosql, REGPROC)) \
    T(pg_catalog, pg_trigger, 2620, 'r', nothing, \
      C(oid, OID) C(tgrelid, OID) C(tgparentid, OID) C(tgname, NAME) C(tgfoid, OID) \
      C(tgtype, INT2) C(tgenabled, CHAR) C(tgisinternal, BOOL) C(tgconstrrelid, OID) \
      C(tgconstrindid, OID) C(tgconstraint, OID) C(tgdeferrable, BOOL) C(tginitdeferred, BOOL) \
      C(tgnargs, INT2) C(tgattr, INT2VECTOR) C(tgargs, BYTEA) C(tgqual, TEXT) \
      C(tgoldtable, NAME) C(tgnewtable, NAME)) \
    T(pg_catalog, pg_ts_config, 3602, 'r', nothing, \
      C(oid, OID) C(cfgname, NAME) C(cfgnamespace, OID) C(cfgowner, OID) C(cfgparser, OID)) \
    T(pg_catalog, pg_ts_config_map, 3603, 'r', nothing, \
      C(mapcfg, OID) C(maptokentype, INT4) C(mapseqno, INT4) C(mapdict, OID)) \
    T(pg_catalog, pg_ts_dict, 3600, 'r', nothing, \
      C(oid, OID) C(dictname, NAME) C(dictnamespace, OID) C(dictowner, OID) C(dicttemplate, OID) \
      C(dictinitoption, TEXT)) \
    T(pg_catalog, pg_ts_parser, 3601, 'r', nothing, \
      C(oid, OID) C(prsname, NAME) C(prsnamespace, OID) C(prsstart, REGPROC) \
      C(prstoken, REGPROC) C(prsend, REGPROC) C(prsheadline, REGPROC) C(prslextype, REGPROC)) \
    T(pg_catalog, pg_ts_template, 3764, 'r', nothing, \
      C(oid, OID) C(tmplname, NAME) C(tmplnamespace, OID) C(tmplinit, REGPROC) \
      C(tmpllexize, REGPROC)) \
    T(pg_catalog, pg_type, 1247, 'r', pg_type, \
      C(oid, OID) C(typname, NAME) C(typnamespace, OID) C(typowner, OID) C(typlen, INT2) \
      C(typbyval, BOOL) C(typtype, CHAR) C(typcategory, CHAR) C(typispreferred, BOOL) \
      C(typisdefined, BOOL) C(typdelim, CHAR) C(typrelid, OID) C(typsubscript, REGPROC) \
      C(typelem, OID) C(typarray, OID) C(typinput, REGPROC) C(typoutput, REGPROC) \
      C(typreceive, REGPROC) C(typsend, REGPROC) C(typmodin, REGPROC) C(typmodout, REGPROC) \
      C(typanalyze, REGPROC) C(typalign, CHAR) C(typstorage, CHAR) C(typnotnull, BOOL) \
      C(typbasetype, OID) C(typtypmod, INT4) C(typndims, INT4) C(typcollation, OID) \
      C(typdefaultbin, TEXT) C(typdefault, TEXT) C(typacl, TEXT_ARRAY)) \
    T(pg_catalog, pg_user, 12014, 'v', pg_user, \
      C(usename, NAME) C(usesysid, OID) C(usecreatedb, BOOL) C(usesuper, BOOL) C(userepl, BOOL) \
      C(usebypassrls, BOOL) C(passwd, TEXT) C(valuntil, TIMESTAMPTZ) C(useconfig, TEXT_ARRAY)) \
    T(pg_catalog, pg_user_mapping, 1418, 'r', nothing, \
      C(oid, OID) C(umuser, OID) C(umserver, OID) C(umoptions, TEXT_ARRAY)) \
    T(pg_catalog, pg_user_mappings, 12327, 'v', nothing, \
      C(umid, OID) C(srvid, OID) C(srvname, NAME) C(umuser, OID) C(usename, NAME) \
      C(umoptions, TEXT_ARRAY)) \
    T(pg_catalog, pg_views, 12028, 'v', pg_views, \
      C(schemaname, NAME) C(viewname, NAME) C(viewowner, NAME) C(definition, TEXT)) \
    T(information_schema, attributes, 13245, 'v', nothing, \
      C(udt_catalog, NAME) C(udt_schema, NAME) C(udt_name, NAME) C(attribute_name, NAME) \
      C(ordinal_position, INT4) C(attribute_default, VARCHAR) C(is_nullable, VARCHAR) \
      C(data_type, VARCHAR) C(character_maximum_length, INT4) C(character_octet_length, INT4) \
      C(character_set_catalog, NAME) C(character_set_schema, NAME) C(character_set_name, NAME) \
      C(collation_catalog, NAME) C(collation_schema, NAME) C(collation_name, NAME) \
      C(numeric_precision, INT4) C(numeric_precision_radix, INT4) C(numeric_scale, INT4) \
      C(datetime_precision, INT4) C(interval_type, VARCHAR) C(interval_precision, INT4) \
      C(attribute_udt_catalog, NAME) C(attribute_udt_schema, NAME) C(attribute_udt_name, NAME) \
      C(scope_catalog, NAME) C(scope_schema, NAME) C(scope_name, NAME) \
      C(maximum_cardinality, INT4) C(dtd_identifier, NAME) \
      C(is_derived_reference_attribute, VARCHAR)) \
    T(information_schema, character_sets, 13250, 'v', info_character_sets, \
      C(character_set_catalog, NAME) C(character_set_schema, NAME) C(character_set_name, NAME) \
      C(character_repertoire, NAME) C(form_of_use, NAME) C(default_collate_catalog, NAME) \
      C(default_collate_schema, NAME) C(default_collate_name, NAME)) \
    T(information_schema, check_constraints, 13260, 'v', info_check_constraints, \
      C(constraint_catalog, NAME) C(constraint_schema, NAME) C(constraint_name, NAME) \
      C(check_clause, VARCHAR)) \
    T(information_schema, collations, 13265, 'v', info_collations, \
      C(collation_catalog, NAME) C(collation_schema, NAME) C(collation_name, NAME) \
      C(pad_attribute, VARCHAR)) \
    T(information_schema, columns, 13295, 'v', info_columns, \
      C(table_catalog, NAME) C(table_schema, NAME) C(table_name, NAME) C(column_name, NAME) \
      C(ordinal_position, INT4) C(column_default, VARCHAR) C(is_nullable, VARCHAR) \
      C(data_type, VARCHAR) C(character_maximum_length, INT4) C(character_octet_length, INT4) \
      C(numeric_precision, INT4) C(numeric_precision_radix, INT4) C(numeric_scale, INT4) \
      C(datetime_precision, INT4) C(interval_type, VARCHAR) C(interval_precision, INT4) \
      C(character_set_catalog, NAME) C(character_set_schema, NAME) C(character_set_name, NAME) \
      C(collation_catalog, NAME) C(collation_schema, NAME) C(collation_name, NAME) \
      C(domain_catalog, NAME) C(domain_schema, NAME) C(domain_name, NAME) C(udt_catalog, NAME) \
      C(udt_schema, NAME) C(udt_name, NAME) C(scope_catalog, NAME) C(scope_schema, NAME) \
      C(scope_name, NAME) C(maximum_cardinality, INT4) C(dtd_identifier, NAME) \
      C(is_self_referencing, VARCHAR) C(is_identity, VARCHAR) C(identity_generation, VARCHAR) \
      C(identity_start, VARCHAR) C(identity_increment, VARCHAR) C(identity_maximum, VARCHAR) \
      C(identity_minimum, VARCHAR) C(identity_cycle, VARCHAR) C(is_generated, VARCHAR) \
      C(generation_expression, VARCHAR) C(is_updatable, VARCHAR)) \
    T(information_schema, constraint_column_usage, 13300, 'v', info_constraint_column_usage, \
      C(table_catalog, NAME) C(table_schema, NAME) C(table_name, NAME) C(column_name, NAME) \
      C(constraint_catalog, NAME) C(constraint_schema, NAME) C(constraint_name, NAME)) \
    T(information_schema, constraint_table_usage, 13305, 'v', info_constraint_table_usage, \
      C(table_catalog, NAME) C(table_schema, NAME) C(table_name, NAME) \
      C(constraint_catalog, NAME) C(constraint_schema, NAME) C(constraint_name, NAME)) \
    T(information_schema, domain_constraints, 13310, 'v', nothing, \
      C(constraint_catalog, NAME) C(constraint_schema, NAME) C(constraint_name, NAME) \
      C(domain_catalog, NAME) C(domain_schema, NAME) C(domain_name, NAME) \
      C(is_deferrable, VARCHAR) C(initially_deferred, VARCHAR)) \
    T(information_schema, domains, 13320, 'v', nothing, \
      C(domain_catalog, NAME) C(domain_schema, NAME) C(domain_name, NAME) C(data_type, VARCHAR) \
      C(character_maximum_length, INT4) C(character_octet_length, INT4) \
      C(character_set_catalog, NAME) C(character_set_schema, NAME) C(character_set_name, NAME) \
      C(collation_catalog, NAME) C(collation_schema, NAME) C(collation_name, NAME) \
      C(numeric_precision, INT4) C(numeric_precision_radix, INT4) C(numeric_scale, INT4) \
      C(datetime_precision, INT4) C(interval_type, VARCHAR) C(interval_precision, INT4) \
      C(domain_default, VARCHAR) C(udt_catalog, NAME) C(udt_schema, NAME) C(udt_name, NAME) \
      C(scope_catalog, NAME) C(scope_schema, NAME) C(scope_name, NAME) \
      C(maximum_cardinality, INT4) C(dtd_identifier, NAME)) \
    T(information_schema, element_types, 13493, 'v', nothing, \
      C(object_catalog, NAME) C(object_schema, NAME) C(object_name, NAME) \
      C(object_type, VARCHAR) C(collection_type_identifier, NAME) C(data_type, VARCHAR) \
      C(character_maximum_length, INT4) C(character_octet_length, INT4) \
      C(character_set_catalog, NAME) C(character_set_schema, NAME) C(character_set_name, NAME) \
      C(collation_catalog, NAME) C(collation_schema, NAME) C(collation_name, NAME) \
      C(numeric_precision, INT4) C(numeric_precision_radix, INT4) C(numeric_scale, INT4) \
      C(datetime_precision, INT4) C(interval_type, VARCHAR) C(interval_precision, INT4) \
      C(domain_default, VARCHAR) C(udt_catalog, NAME) C(udt_schema, NAME) C(udt_name, NAME) \
      C(scope_catalog, NAME) C(scope_schema, NAME) C(scope_name, NAME) \
      C(maximum_cardinality, INT4) C(dtd_identifier, NAME)) \
    T(information_schema, enabled_roles, 13325, 'v', info_enabled_roles, \
      C(role_name, NAME)) \
    T(information_schema, foreign_servers, 13528, 'v', nothing, \
      C(foreign_server_catalog, NAME) C(foreign_server_name, NAME) \
      C(foreign_data_wrapper_catalog, NAME) C(foreign_data_wrapper_name, NAME) \
      C(foreign_server_type, VARCHAR) C(foreign_server_version, VARCHAR) \
      C(authorization_identifier, NAME)) \
    T(information_schema, foreign_tables, 13541, 'v', nothing, \
      C(foreign_table_catalog, NAME) C(foreign_table_schema, NAME) C(foreign_table_name, NAME) \
      C(foreign_server_catalog, NAME) C(foreign_server_name, NAME)) \
    T(information_schema, information_schema_catalog_name, 13227, 'v', info_information_schema_catalog_name, \
      C(catalog_name, NAME)) \
    T(information_schema, key_column_usage, 13329, 'v', info_key_column_usage, \
      C(constraint_catalog, NAME) C(constraint_schema, NAME) C(constraint_name, NAME) \
      C(table_catalog, NAME) C(table_schema, NAME) C(table_name, NAME) C(column_name, NAME) \
      C(ordinal_position, INT4) C(position_in_unique_constraint, INT4)) \
    T(information_schema, parameters, 13334, 'v', nothing, \
      C(specific_catalog, NAME) C(specific_schema, NAME) C(specific_name, NAME) \
      C(ordinal_position, INT4) C(parameter_mode, VARCHAR) C(is_result, VARCHAR) \
      C(as_locator, VARCHAR) C(parameter_name, NAME) C(data_type, VARCHAR) \
      C(character_maximum_length, INT4) C(character_octet_length, INT4) \
      C(character_set_catalog, NAME) C(character_set_schema, NAME) C(character_set_name, NAME) \
      C(collation_catalog, NAME) C(collation_schema, NAME) C(collation_name, NAME) \
      C(numeric_precision, INT4) C(numeric_precision_radix, INT4) C(numeric_scale, INT4) \
      C(datetime_precision, INT4) C(interval_type, VARCHAR) C(interval_precision, INT4) \
      C(udt_catalog, NAME) C(udt_schema, NAME) C(udt_name, NAME) C(scope_catalog, NAME) \
      C(scope_schema, NAME) C(scope_name, NAME) C(maximum_cardinality, INT4) \
      C(dtd_identifier, NAME) C(parameter_default, VARCHAR)) \
    T(information_schema, referential_constraints, 13339, 'v', info_referential_constraints, \
      C(constraint_catalog, NAME) C(constraint_schema, NAME) C(constraint_name, NAME) \
      C(unique_constraint_catalog, NAME) C(unique_constraint_schema, NAME) \
      C(unique_constraint_name, NAME) C(match_option, VARCHAR) C(update_rule, VARCHAR) \
      C(delete_rule, VARCHAR)) \
    T(information_schema, routines, 13377, 'v', nothing, \
      C(specific_catalog, NAME) C(specific_schema, NAME) C(specific_name, NAME) \
      C(routine_catalog, NAME) C(routine_schema, NAME) C(routine_name, NAME) \
      C(routine_type, VARCHAR) C(module_catalog, NAME) C(module_schema, NAME) \
      C(module_name, NAME) C(udt_catalog, NAME) C(udt_schema, NAME) C(udt_name, NAME) \
      C(data_type, VARCHAR) C(character_maximum_length, INT4) C(character_octet_length, INT4) \
      C(character_set_catalog, NAME) C(character_set_schema, NAME) C(character_set_name, NAME) \
      C(collation_catalog, NAME) C(collation_schema, NAME) C(collation_name, NAME) \
      C(numeric_precision, INT4) C(numeric_precision_radix, INT4) C(numeric_scale, INT4) \
      C(datetime_precision, INT4) C(interval_type, VARCHAR) C(interval_precision, INT4) \
      C(type_udt_catalog, NAME) C(type_udt_schema, NAME) C(type_udt_name, NAME) \
      C(scope_catalog, NAME) C(scope_schema, NAME) C(scope_name, NAME) \
      C(maximum_cardinality, INT4) C(dtd_identifier, NAME) C(routine_body, VARCHAR) \
      C(routine_definition, VARCHAR) C(external_name, VARCHAR) C(external_language, VARCHAR) \
      C(parameter_style, VARCHAR) C(is_deterministic, VARCHAR) C(sql_data_access, VARCHAR) \
      C(is_null_call, VARCHAR) C(sql_path, VARCHAR) C(schema_level_routine, VARCHAR) \
      C(max_dynamic_result_sets, INT4) C(is_user_defined_cast, VARCHAR) \
      C(is_implicitly_invocable, VARCHAR) C(security_type, VARCHAR) \
      C(to_sql_specific_catalog, NAME) C(to_sql_specific_schema, NAME) \
      C(to_sql_specific_name, NAME) C(as_locator, VARCHAR) C(created, TIMESTAMPTZ) \
      C(last_altered, TIMESTAMPTZ) C(new_savepoint_level, VARCHAR) C(is_udt_dependent, VARCHAR) \
      C(result_cast_from_data_type, VARCHAR) C(result_cast_as_locator, VARCHAR) \
      C(result_cast_char_max_length, INT4) C(result_cast_char_octet_length, INT4) \
      C(result_cast_char_set_catalog, NAME) C(result_cast_char_set_schema, NAME) \
      C(result_cast_char_set_name, NAME) C(result_cast_collation_catalog, NAME) \
      C(result_cast_collation_schema, NAME) C(result_cast_collation_name, NAME) \
      C(result_cast_numeric_precision, INT4) C(result_cast_numeric_precision_radix, INT4) \
      C(result_cast_numeric_scale, INT4) C(result_cast_datetime_precision, INT4) \
      C(result_cast_interval_type, VARCHAR) C(result_cast_interval_precision, INT4) \
      C(result_cast_type_udt_catalog, NAME) C(result_cast_type_udt_schema, NAME) \
      C(result_cast_type_udt_name, NAME) C(result_cast_scope_catalog, NAME) \
      C(result_cast_scope_schema, NAME) C(result_cast_scope_name, NAME) \
      C(result_cast_maximum_cardinality, INT4) C(result_cast_dtd_identifier, NAME)) \
    T(information_schema, schemata, 13382, 'v', info_schemata, \
      C(catalog_name, NAME) C(schema_name, NAME) C(schema_owner, NAME) \
      C(default_character_set_catalog, NAME) C(default_character_set_schema, NAME) \
      C(default_character_set_name, NAME) C(sql_path, VARCHAR)) \
    T(information_schema, sequences, 13386, 'v', info_sequences, \
      C(sequence_catalog, NAME) C(sequence_schema, NAME) C(sequence_name, NAME) \
      C(data_type, VARCHAR) C(numeric_precision, INT4) C(numeric_precision_radix, INT4) \
      C(numeric_scale, INT4) C(start_value, VARCHAR) C(minimum_value, VARCHAR) \
      C(maximum_value, VARCHAR) C(increment, VARCHAR) C(cycle_option, VARCHAR)) \
    T(information_schema, table_constraints, 13411, 'v', info_table_constraints, \
      C(constraint_catalog, NAME) C(constraint_schema, NAME) C(constraint_name, NAME) \
      C(table_catalog, NAME) C(table_schema, NAME) C(table_name, NAME) \
      C(constraint_type, VARCHAR) C(is_deferrable, VARCHAR) C(initially_deferred, VARCHAR) \
      C(enforced, VARCHAR) C(nulls_distinct, VARCHAR)) \
    T(information_schema, tables, 13425, 'v', info_tables, \
      C(table_catalog, NAME) C(table_schema, NAME) C(table_name, NAME) C(table_type, VARCHAR) \
      C(self_referencing_column_name, NAME) C(reference_generation, VARCHAR) \
      C(user_defined_type_catalog, NAME) C(user_defined_type_schema, NAME) \
      C(user_defined_type_name, NAME) C(is_insertable_into, VARCHAR) C(is_typed, VARCHAR) \
      C(commit_action, VARCHAR)) \
    T(information_schema, transforms, 13430, 'v', nothing, \
      C(udt_catalog, NAME) C(udt_schema, NAME) C(udt_name, NAME) C(specific_catalog, NAME) \
      C(specific_schema, NAME) C(specific_name, NAME) C(group_name, NAME) \
      C(transform_type, VARCHAR)) \
    T(information_schema, triggered_update_columns, 13435, 'v', nothing, \
      C(trigger_catalog, NAME) C(trigger_schema, NAME) C(trigger_name, NAME) \
      C(event_object_catalog, NAME) C(event_object_schema, NAME) C(event_object_table, NAME) \
      C(event_object_column, NAME)) \
    T(information_schema, triggers, 13440, 'v', nothing, \
      C(trigger_catalog, NAME) C(trigger_schema, NAME) C(trigger_name, NAME) \
      C(event_manipulation, VARCHAR) C(event_object_catalog, NAME) C(event_object_schema, NAME) \
      C(event_object_table, NAME) C(action_order, INT4) C(action_condition, VARCHAR) \
      C(action_statement, VARCHAR) C(action_orientation, VARCHAR) C(action_timing, VARCHAR) \
      C(action_reference_old_table, NAME) C(action_reference_new_table, NAME) \
      C(action_reference_old_row, NAME) C(action_reference_new_row, NAME) \
      C(created, TIMESTAMPTZ)) \
    T(information_schema, user_defined_types, 13463, 'v', nothing, \
      C(user_defined_type_catalog, NAME) C(user_defined_type_schema, NAME) \
      C(user_defined_type_name, NAME) C(user_defined_type_category, VARCHAR) \
      C(is_instantiable, VARCHAR) C(is_final, VARCHAR) C(ordering_form, VARCHAR) \
      C(ordering_category, VARCHAR) C(ordering_routine_catalog, NAME) \
      C(ordering_routine_schema, NAME) C(ordering_routine_name, NAME) C(reference_type, VARCHAR) \
      C(data_type, VARCHAR) C(character_maximum_length, INT4) C(character_octet_length, INT4) \
      C(character_set_catalog, NAME) C(character_set_schema, NAME) C(character_set_name, NAME) \
      C(collation_catalog, NAME) C(collation_schema, NAME) C(collation_name, NAME) \
      C(numeric_precision, INT4) C(numeric_precision_radix, INT4) C(numeric_scale, INT4) \
      C(datetime_precision, INT4) C(interval_type, VARCHAR) C(interval_precision, INT4) \
      C(source_dtd_identifier, NAME) C(ref_dtd_identifier, NAME)) \
    T(information_schema, view_routine_usage, 13473, 'v', nothing, \
      C(table_catalog, NAME) C(table_schema, NAME) C(table_name, NAME) C(specific_catalog, NAME) \
      C(specific_schema, NAME) C(specific_name, NAME)) \
    T(information_schema, views, 13483, 'v', info_views, \
      C(table_catalog, NAME) C(table_schema, NAME) C(table_name, NAME) \
      C(view_definition, VARCHAR) C(check_option, VARCHAR) C(is_updatable, VARCHAR) \
      C(is_insertable_into, VARCHAR) C(is_trigger_updatable, VARCHAR) \
      C(is_trigger_deletable, VARCHAR) C(is_trigger_insertable_into, VARCHAR)) \
    T(pg_catalog, sherd_lock_waits, 13903, 'v', sherd_lock_waits, \
      C(shard_id, INT8) C(wait, INT8) C(waiter, TEXT) C(holder, TEXT) C(waiter_pid, INT4) \
      C(holder_pid, INT4) C(job_id, INT8)) \
    T(pg_catalog, sherd_nodes, 13900, 'v', sherd_nodes, \
      C(node_id, INT8) C(host, TEXT) C(port, INT4) C(sql_port, INT4) C(locality, TEXT) \
      C(state, TEXT) C(is_metadata, BOOL) C(is_shard, BOOL) C(is_router, BOOL) \
      C(incarnation, INT8) C(version, TEXT)) \
    T(pg_catalog, sherd_shards, 13901, 'v', sherd_shards, \
      C(shard_id, INT8) C(start_key, BYTEA) C(end_key, BYTEA) C(epoch, INT8) \
      C(leader_node, INT8) C(replicas, INT8_ARRAY) C(learners, INT8_ARRAY) C(tables, TEXT_ARRAY) \
      C(placement, TEXT)) \
    T(pg_catalog, sherd_table_shards, 13902, 'v', sherd_table_shards, \
      C(schemaname, NAME) C(tablename, NAME) C(table_id, OID) C(shard_id, INT8) \
      C(leader_node, INT8)) \
    T(pg_catalog, sherd_jobs, 13910, 'v', sherd_jobs, \
      C(job_id, INT8) C(kind, TEXT) C(state, TEXT) C(statement, TEXT) C(node_id, INT8) \
      C(tables, TEXT_ARRAY) C(shard_id, INT8) C(error, TEXT))
/* clang-format on */

#endif
