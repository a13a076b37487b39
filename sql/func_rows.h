/*
 * The functions, operators, casts and aggregates that there are: one row each, ids as in
 * PostgreSQL's pg_proc, so that they never change and pg_catalog can show them. From 12000 on are
 * those without a pg_proc row: casts without a function, SQL's functions without parentheses,
 * subscripts.
 *
 * F(id, name, operator or NULL, class, volatility, flags, defaults, result, argument types,
 *   implementation)
 *   NS       needs the session: eval_ctx.session_call answers it
 *   STRICT   NULL in, NULL out
 *   VARIADIC the last argument repeats
 *   CAST     stands behind a row of the cast table (cast.c)
 *   defaults how many of the last arguments may be left out

 * What PostgreSQL calls stable only because its answer hangs on the session's time zone or formats
 is
 * immutable here: the zone is UTC and the formats are fixed.
 *
 * G rows name an agg_ops instead (agg.c). A row's result T(ANYELEMENT) and its kin follow the
 * arguments' types.
 */
#ifndef SQL_FUNC_ROWS_H
#define SQL_FUNC_ROWS_H

/* clang-format off */
#define FUNC_ROWS_COMPARE(F) \
    F(744, "array_eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), cmp_arr_eq) \
    F(396, "array_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), cmp_arr_ge) \
    F(392, "array_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), cmp_arr_gt) \
    F(393, "array_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), cmp_arr_le) \
    F(391, "array_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), cmp_arr_lt) \
    F(390, "array_ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), cmp_arr_ne) \
    F(60, "booleq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BOOL), T(BOOL)), cmp_i_eq) \
    F(1692, "boolge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BOOL), T(BOOL)), cmp_i_ge) \
    F(57, "boolgt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BOOL), T(BOOL)), cmp_i_gt) \
    F(1691, "boolle", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BOOL), T(BOOL)), cmp_i_le) \
    F(56, "boollt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BOOL), T(BOOL)), cmp_i_lt) \
    F(84, "boolne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BOOL), T(BOOL)), cmp_i_ne) \
    F(2177, "bpchar_pattern_ge", "~>=~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_ge) \
    F(2178, "bpchar_pattern_gt", "~>~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_gt) \
    F(2175, "bpchar_pattern_le", "~<=~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_le) \
    F(2174, "bpchar_pattern_lt", "~<~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_lt) \
    F(1048, "bpchareq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_eq) \
    F(1052, "bpcharge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_ge) \
    F(1051, "bpchargt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_gt) \
    F(1050, "bpcharle", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_le) \
    F(1049, "bpcharlt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_lt) \
    F(1053, "bpcharne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(BPCHAR)), cmp_bp_ne) \
    F(1948, "byteaeq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), cmp_s_eq) \
    F(1952, "byteage", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), cmp_s_ge) \
    F(1951, "byteagt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), cmp_s_gt) \
    F(1950, "byteale", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), cmp_s_le) \
    F(1949, "bytealt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), cmp_s_lt) \
    F(1953, "byteane", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), cmp_s_ne) \
    F(61, "chareq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(CHAR), T(CHAR)), cmp_i_eq) \
    F(74, "charge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(CHAR), T(CHAR)), cmp_i_ge) \
    F(73, "chargt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(CHAR), T(CHAR)), cmp_i_gt) \
    F(72, "charle", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(CHAR), T(CHAR)), cmp_i_le) \
    F(1246, "charlt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(CHAR), T(CHAR)), cmp_i_lt) \
    F(70, "charne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(CHAR), T(CHAR)), cmp_i_ne) \
    F(1086, "date_eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(DATE)), cmp_i_eq) \
    F(2340, "date_eq_timestamp", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMP)), cmp_dt_eq) \
    F(2353, "date_eq_timestamptz", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMPTZ)), cmp_dt_eq) \
    F(1090, "date_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(DATE)), cmp_i_ge) \
    F(2342, "date_ge_timestamp", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMP)), cmp_dt_ge) \
    F(2355, "date_ge_timestamptz", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMPTZ)), cmp_dt_ge) \
    F(1089, "date_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(DATE)), cmp_i_gt) \
    F(2341, "date_gt_timestamp", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMP)), cmp_dt_gt) \
    F(2354, "date_gt_timestamptz", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMPTZ)), cmp_dt_gt) \
    F(1088, "date_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(DATE)), cmp_i_le) \
    F(2339, "date_le_timestamp", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMP)), cmp_dt_le) \
    F(2352, "date_le_timestamptz", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMPTZ)), cmp_dt_le) \
    F(1087, "date_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(DATE)), cmp_i_lt) \
    F(2338, "date_lt_timestamp", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMP)), cmp_dt_lt) \
    F(2351, "date_lt_timestamptz", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMPTZ)), cmp_dt_lt) \
    F(1091, "date_ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(DATE)), cmp_i_ne) \
    F(2343, "date_ne_timestamp", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMP)), cmp_dt_ne) \
    F(2356, "date_ne_timestamptz", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE), T(TIMESTAMPTZ)), cmp_dt_ne) \
    F(299, "float48eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT8)), cmp_f_eq) \
    F(304, "float48ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT8)), cmp_f_ge) \
    F(303, "float48gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT8)), cmp_f_gt) \
    F(302, "float48le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT8)), cmp_f_le) \
    F(301, "float48lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT8)), cmp_f_lt) \
    F(300, "float48ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT8)), cmp_f_ne) \
    F(287, "float4eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT4)), cmp_f_eq) \
    F(292, "float4ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT4)), cmp_f_ge) \
    F(291, "float4gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT4)), cmp_f_gt) \
    F(290, "float4le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT4)), cmp_f_le) \
    F(289, "float4lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT4)), cmp_f_lt) \
    F(288, "float4ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT4), T(FLOAT4)), cmp_f_ne) \
    F(305, "float84eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT4)), cmp_f_eq) \
    F(310, "float84ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT4)), cmp_f_ge) \
    F(309, "float84gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT4)), cmp_f_gt) \
    F(308, "float84le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT4)), cmp_f_le) \
    F(307, "float84lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT4)), cmp_f_lt) \
    F(306, "float84ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT4)), cmp_f_ne) \
    F(293, "float8eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT8)), cmp_f_eq) \
    F(298, "float8ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT8)), cmp_f_ge) \
    F(297, "float8gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT8)), cmp_f_gt) \
    F(296, "float8le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT8)), cmp_f_le) \
    F(295, "float8lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT8)), cmp_f_lt) \
    F(294, "float8ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(FLOAT8), T(FLOAT8)), cmp_f_ne) \
    F(158, "int24eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT4)), cmp_i_eq) \
    F(168, "int24ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT4)), cmp_i_ge) \
    F(162, "int24gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT4)), cmp_i_gt) \
    F(166, "int24le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT4)), cmp_i_le) \
    F(160, "int24lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT4)), cmp_i_lt) \
    F(164, "int24ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT4)), cmp_i_ne) \
    F(1850, "int28eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT8)), cmp_i_eq) \
    F(1855, "int28ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT8)), cmp_i_ge) \
    F(1853, "int28gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT8)), cmp_i_gt) \
    F(1854, "int28le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT8)), cmp_i_le) \
    F(1852, "int28lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT8)), cmp_i_lt) \
    F(1851, "int28ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT8)), cmp_i_ne) \
    F(63, "int2eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT2)), cmp_i_eq) \
    F(151, "int2ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT2)), cmp_i_ge) \
    F(146, "int2gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT2)), cmp_i_gt) \
    F(148, "int2le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT2)), cmp_i_le) \
    F(64, "int2lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT2)), cmp_i_lt) \
    F(145, "int2ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT2), T(INT2)), cmp_i_ne) \
    F(159, "int42eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT2)), cmp_i_eq) \
    F(169, "int42ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT2)), cmp_i_ge) \
    F(163, "int42gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT2)), cmp_i_gt) \
    F(167, "int42le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT2)), cmp_i_le) \
    F(161, "int42lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT2)), cmp_i_lt) \
    F(165, "int42ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT2)), cmp_i_ne) \
    F(852, "int48eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT8)), cmp_i_eq) \
    F(857, "int48ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT8)), cmp_i_ge) \
    F(855, "int48gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT8)), cmp_i_gt) \
    F(856, "int48le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT8)), cmp_i_le) \
    F(854, "int48lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT8)), cmp_i_lt) \
    F(853, "int48ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT8)), cmp_i_ne) \
    F(65, "int4eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), cmp_i_eq) \
    F(150, "int4ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), cmp_i_ge) \
    F(147, "int4gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), cmp_i_gt) \
    F(149, "int4le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), cmp_i_le) \
    F(66, "int4lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), cmp_i_lt) \
    F(144, "int4ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), cmp_i_ne) \
    F(1856, "int82eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT2)), cmp_i_eq) \
    F(1861, "int82ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT2)), cmp_i_ge) \
    F(1859, "int82gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT2)), cmp_i_gt) \
    F(1860, "int82le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT2)), cmp_i_le) \
    F(1858, "int82lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT2)), cmp_i_lt) \
    F(1857, "int82ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT2)), cmp_i_ne) \
    F(474, "int84eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT4)), cmp_i_eq) \
    F(479, "int84ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT4)), cmp_i_ge) \
    F(477, "int84gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT4)), cmp_i_gt) \
    F(478, "int84le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT4)), cmp_i_le) \
    F(476, "int84lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT4)), cmp_i_lt) \
    F(475, "int84ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT4)), cmp_i_ne) \
    F(467, "int8eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT8)), cmp_i_eq) \
    F(472, "int8ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT8)), cmp_i_ge) \
    F(470, "int8gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT8)), cmp_i_gt) \
    F(471, "int8le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT8)), cmp_i_le) \
    F(469, "int8lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT8)), cmp_i_lt) \
    F(468, "int8ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INT8), T(INT8)), cmp_i_ne) \
    F(1162, "interval_eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INTERVAL), T(INTERVAL)), cmp_iv_eq) \
    F(1166, "interval_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INTERVAL), T(INTERVAL)), cmp_iv_ge) \
    F(1167, "interval_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INTERVAL), T(INTERVAL)), cmp_iv_gt) \
    F(1165, "interval_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INTERVAL), T(INTERVAL)), cmp_iv_le) \
    F(1164, "interval_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INTERVAL), T(INTERVAL)), cmp_iv_lt) \
    F(1163, "interval_ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INTERVAL), T(INTERVAL)), cmp_iv_ne) \
    F(62, "nameeq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(NAME)), cmp_s_eq) \
    F(240, "nameeqtext", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), cmp_s_eq) \
    F(658, "namege", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(NAME)), cmp_s_ge) \
    F(243, "namegetext", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), cmp_s_ge) \
    F(657, "namegt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(NAME)), cmp_s_gt) \
    F(244, "namegttext", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), cmp_s_gt) \
    F(656, "namele", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(NAME)), cmp_s_le) \
    F(242, "nameletext", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), cmp_s_le) \
    F(655, "namelt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(NAME)), cmp_s_lt) \
    F(241, "namelttext", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), cmp_s_lt) \
    F(659, "namene", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(NAME)), cmp_s_ne) \
    F(245, "namenetext", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), cmp_s_ne) \
    F(1718, "numeric_eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NUMERIC), T(NUMERIC)), cmp_num_eq) \
    F(1721, "numeric_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NUMERIC), T(NUMERIC)), cmp_num_ge) \
    F(1720, "numeric_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NUMERIC), T(NUMERIC)), cmp_num_gt) \
    F(1723, "numeric_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NUMERIC), T(NUMERIC)), cmp_num_le) \
    F(1722, "numeric_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NUMERIC), T(NUMERIC)), cmp_num_lt) \
    F(1719, "numeric_ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NUMERIC), T(NUMERIC)), cmp_num_ne) \
    F(184, "oideq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(OID), T(OID)), cmp_i_eq) \
    F(1639, "oidge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(OID), T(OID)), cmp_i_ge) \
    F(1638, "oidgt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(OID), T(OID)), cmp_i_gt) \
    F(717, "oidle", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(OID), T(OID)), cmp_i_le) \
    F(716, "oidlt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(OID), T(OID)), cmp_i_lt) \
    F(185, "oidne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(OID), T(OID)), cmp_i_ne) \
    F(743, "text_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_ge) \
    F(742, "text_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_gt) \
    F(741, "text_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_le) \
    F(740, "text_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_lt) \
    F(2163, "text_pattern_ge", "~>=~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_ge) \
    F(2164, "text_pattern_gt", "~>~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_gt) \
    F(2161, "text_pattern_le", "~<=~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_le) \
    F(2160, "text_pattern_lt", "~<~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_lt) \
    F(67, "texteq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_eq) \
    F(247, "texteqname", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(NAME)), cmp_s_eq) \
    F(250, "textgename", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(NAME)), cmp_s_ge) \
    F(251, "textgtname", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(NAME)), cmp_s_gt) \
    F(249, "textlename", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(NAME)), cmp_s_le) \
    F(248, "textltname", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(NAME)), cmp_s_lt) \
    F(157, "textne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), cmp_s_ne) \
    F(252, "textnename", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(NAME)), cmp_s_ne) \
    F(1145, "time_eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIME), T(TIME)), cmp_i_eq) \
    F(1105, "time_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIME), T(TIME)), cmp_i_ge) \
    F(1104, "time_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIME), T(TIME)), cmp_i_gt) \
    F(1103, "time_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIME), T(TIME)), cmp_i_le) \
    F(1102, "time_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIME), T(TIME)), cmp_i_lt) \
    F(1106, "time_ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIME), T(TIME)), cmp_i_ne) \
    F(2052, "timestamp_eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMP)), cmp_i_eq) \
    F(2366, "timestamp_eq_date", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(DATE)), cmp_td_eq) \
    F(2522, "timestamp_eq_timestamptz", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMPTZ)), cmp_i_eq) \
    F(2056, "timestamp_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMP)), cmp_i_ge) \
    F(2368, "timestamp_ge_date", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(DATE)), cmp_td_ge) \
    F(2524, "timestamp_ge_timestamptz", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMPTZ)), cmp_i_ge) \
    F(2057, "timestamp_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMP)), cmp_i_gt) \
    F(2367, "timestamp_gt_date", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(DATE)), cmp_td_gt) \
    F(2523, "timestamp_gt_timestamptz", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMPTZ)), cmp_i_gt) \
    F(2055, "timestamp_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMP)), cmp_i_le) \
    F(2365, "timestamp_le_date", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(DATE)), cmp_td_le) \
    F(2521, "timestamp_le_timestamptz", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMPTZ)), cmp_i_le) \
    F(2054, "timestamp_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMP)), cmp_i_lt) \
    F(2364, "timestamp_lt_date", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(DATE)), cmp_td_lt) \
    F(2520, "timestamp_lt_timestamptz", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMPTZ)), cmp_i_lt) \
    F(2053, "timestamp_ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMP)), cmp_i_ne) \
    F(2369, "timestamp_ne_date", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(DATE)), cmp_td_ne) \
    F(2525, "timestamp_ne_timestamptz", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMPTZ)), cmp_i_ne) \
    F(1152, "timestamptz_eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ)), cmp_i_eq) \
    F(2379, "timestamptz_eq_date", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(DATE)), cmp_td_eq) \
    F(2529, "timestamptz_eq_timestamp", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMP)), cmp_i_eq) \
    F(1156, "timestamptz_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ)), cmp_i_ge) \
    F(2381, "timestamptz_ge_date", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(DATE)), cmp_td_ge) \
    F(2531, "timestamptz_ge_timestamp", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMP)), cmp_i_ge) \
    F(1157, "timestamptz_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ)), cmp_i_gt) \
    F(2380, "timestamptz_gt_date", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(DATE)), cmp_td_gt) \
    F(2530, "timestamptz_gt_timestamp", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMP)), cmp_i_gt) \
    F(1155, "timestamptz_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ)), cmp_i_le) \
    F(2378, "timestamptz_le_date", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(DATE)), cmp_td_le) \
    F(2528, "timestamptz_le_timestamp", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMP)), cmp_i_le) \
    F(1154, "timestamptz_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ)), cmp_i_lt) \
    F(2377, "timestamptz_lt_date", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(DATE)), cmp_td_lt) \
    F(2527, "timestamptz_lt_timestamp", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMP)), cmp_i_lt) \
    F(1153, "timestamptz_ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ)), cmp_i_ne) \
    F(2382, "timestamptz_ne_date", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(DATE)), cmp_td_ne) \
    F(2532, "timestamptz_ne_timestamp", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMP)), cmp_i_ne) \
    F(2956, "uuid_eq", "=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(UUID), T(UUID)), cmp_s_eq) \
    F(2957, "uuid_ge", ">=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(UUID), T(UUID)), cmp_s_ge) \
    F(2958, "uuid_gt", ">", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(UUID), T(UUID)), cmp_s_gt) \
    F(2955, "uuid_le", "<=", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(UUID), T(UUID)), cmp_s_le) \
    F(2954, "uuid_lt", "<", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(UUID), T(UUID)), cmp_s_lt) \
    F(2959, "uuid_ne", "<>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(UUID), T(UUID)), cmp_s_ne)

#define FUNC_ROWS_MATH(F) \
    F(231, "dcbrt", "||/", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fcbrt) \
    F(232, "dpow", "^", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_fpower) \
    F(230, "dsqrt", "|/", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fsqrt) \
    F(280, "float48div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT4), T(FLOAT8)), fn_f8div) \
    F(282, "float48mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT4), T(FLOAT8)), fn_f8mi) \
    F(279, "float48mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT4), T(FLOAT8)), fn_f8mul) \
    F(281, "float48pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT4), T(FLOAT8)), fn_f8pl) \
    F(203, "float4div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT4), ARGS(T(FLOAT4), T(FLOAT4)), fn_f4div) \
    F(205, "float4mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT4), ARGS(T(FLOAT4), T(FLOAT4)), fn_f4mi) \
    F(202, "float4mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT4), ARGS(T(FLOAT4), T(FLOAT4)), fn_f4mul) \
    F(204, "float4pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT4), ARGS(T(FLOAT4), T(FLOAT4)), fn_f4pl) \
    F(284, "float84div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT4)), fn_f8div) \
    F(286, "float84mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT4)), fn_f8mi) \
    F(283, "float84mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT4)), fn_f8mul) \
    F(285, "float84pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT4)), fn_f8pl) \
    F(221, "float8abs", "@", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fabs) \
    F(217, "float8div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_f8div) \
    F(219, "float8mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_f8mi) \
    F(216, "float8mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_f8mul) \
    F(218, "float8pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_f8pl) \
    F(220, "float8um", "-", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fum) \
    F(1914, "float8up", "+", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_same) \
    F(172, "int24div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT2), T(INT4)), fn_i4div) \
    F(182, "int24mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT2), T(INT4)), fn_i4mi) \
    F(170, "int24mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT2), T(INT4)), fn_i4mul) \
    F(178, "int24pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT2), T(INT4)), fn_i4pl) \
    F(948, "int28div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT2), T(INT8)), fn_i8div) \
    F(942, "int28mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT2), T(INT8)), fn_i8mi) \
    F(943, "int28mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT2), T(INT8)), fn_i8mul) \
    F(841, "int28pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT2), T(INT8)), fn_i8pl) \
    F(1253, "int2abs", "@", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2)), fn_i2abs) \
    F(1892, "int2and", "&", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_iand) \
    F(153, "int2div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_i2div) \
    F(180, "int2mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_i2mi) \
    F(155, "int2mod", "%", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_i2mod) \
    F(152, "int2mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_i2mul) \
    F(1895, "int2not", "~", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2)), fn_inot) \
    F(1893, "int2or", "|", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_ior) \
    F(176, "int2pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_i2pl) \
    F(1896, "int2shl", "<<", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT4)), fn_i2shl) \
    F(1897, "int2shr", ">>", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT4)), fn_i2shr) \
    F(213, "int2um", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2)), fn_i2um) \
    F(1894, "int2xor", "#", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_ixor) \
    F(173, "int42div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT2)), fn_i4div) \
    F(183, "int42mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT2)), fn_i4mi) \
    F(171, "int42mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT2)), fn_i4mul) \
    F(179, "int42pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT2)), fn_i4pl) \
    F(1281, "int48div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT4), T(INT8)), fn_i8div) \
    F(1279, "int48mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT4), T(INT8)), fn_i8mi) \
    F(1280, "int48mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT4), T(INT8)), fn_i8mul) \
    F(1278, "int48pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT4), T(INT8)), fn_i8pl) \
    F(1251, "int4abs", "@", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4)), fn_i4abs) \
    F(1898, "int4and", "&", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_iand) \
    F(154, "int4div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4div) \
    F(181, "int4mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4mi) \
    F(156, "int4mod", "%", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4mod) \
    F(141, "int4mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4mul) \
    F(1901, "int4not", "~", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4)), fn_inot) \
    F(1899, "int4or", "|", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_ior) \
    F(177, "int4pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4pl) \
    F(1902, "int4shl", "<<", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4shl) \
    F(1903, "int4shr", ">>", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4shr) \
    F(212, "int4um", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4)), fn_i4um) \
    F(1900, "int4xor", "#", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_ixor) \
    F(840, "int82div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT2)), fn_i8div) \
    F(838, "int82mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT2)), fn_i8mi) \
    F(839, "int82mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT2)), fn_i8mul) \
    F(837, "int82pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT2)), fn_i8pl) \
    F(1277, "int84div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT4)), fn_i8div) \
    F(1275, "int84mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT4)), fn_i8mi) \
    F(1276, "int84mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT4)), fn_i8mul) \
    F(1274, "int84pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT4)), fn_i8pl) \
    F(1230, "int8abs", "@", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8)), fn_i8abs) \
    F(1904, "int8and", "&", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_iand) \
    F(466, "int8div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_i8div) \
    F(464, "int8mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_i8mi) \
    F(945, "int8mod", "%", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_i8mod) \
    F(465, "int8mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_i8mul) \
    F(1907, "int8not", "~", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8)), fn_inot) \
    F(1905, "int8or", "|", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_ior) \
    F(463, "int8pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_i8pl) \
    F(1908, "int8shl", "<<", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT4)), fn_i8shl) \
    F(1909, "int8shr", ">>", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT4)), fn_i8shr) \
    F(462, "int8um", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8)), fn_i8um) \
    F(1906, "int8xor", "#", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_ixor) \
    F(1704, "numeric_abs", "@", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numabs) \
    F(1724, "numeric_add", "+", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numadd) \
    F(1727, "numeric_div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numdiv) \
    F(1729, "numeric_mod", "%", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_nummod) \
    F(1726, "numeric_mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_nummul) \
    F(1739, "numeric_power", "^", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numpower) \
    F(1725, "numeric_sub", "-", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numsub) \
    F(1771, "numeric_uminus", "-", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numneg) \
    F(1395, "abs", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fabs) \
    F(1396, "abs", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8)), fn_i8abs) \
    F(1397, "abs", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4)), fn_i4abs) \
    F(1398, "abs", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2)), fn_i2abs) \
    F(1705, "abs", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numabs) \
    F(1601, "acos", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_acos) \
    F(2732, "acosd", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_acosd) \
    F(2466, "acosh", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_acosh) \
    F(1600, "asin", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_asin) \
    F(2731, "asind", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_asind) \
    F(2465, "asinh", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_asinh) \
    F(1602, "atan", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_atan) \
    F(1603, "atan2", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_atan2) \
    F(2734, "atan2d", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_atan2d) \
    F(2733, "atand", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_atand) \
    F(2467, "atanh", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_atanh) \
    F(1345, "cbrt", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fcbrt) \
    F(1711, "ceil", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numceil) \
    F(2308, "ceil", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fceil) \
    F(2167, "ceiling", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numceil) \
    F(2320, "ceiling", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fceil) \
    F(1605, "cos", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_cos) \
    F(2736, "cosd", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_cosd) \
    F(2463, "cosh", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_cosh) \
    F(1607, "cot", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_cot) \
    F(2738, "cotd", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_cotd) \
    F(1608, "degrees", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_degrees) \
    F(233, "dexp", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fexp) \
    F(1973, "div", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numdivtrunc) \
    F(234, "dlog1", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fln) \
    F(1339, "dlog10", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_flog) \
    F(228, "dround", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fround) \
    F(229, "dtrunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_ftrunc) \
    F(1347, "exp", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fexp) \
    F(1732, "exp", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numexp) \
    F(1712, "floor", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numfloor) \
    F(2309, "floor", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_ffloor) \
    F(5044, "gcd", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4gcd) \
    F(5045, "gcd", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_i8gcd) \
    F(5048, "gcd", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numgcd) \
    F(5046, "lcm", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4lcm) \
    F(5047, "lcm", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_i8lcm) \
    F(5049, "lcm", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numlcm) \
    F(1341, "ln", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fln) \
    F(1734, "ln", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numln) \
    F(1340, "log", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_flog) \
    F(1736, "log", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numlogb) \
    F(1741, "log", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numlog) \
    F(1194, "log10", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_flog) \
    F(1481, "log10", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numlog) \
    F(5042, "min_scale", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(NUMERIC)), fn_nummin_scale) \
    F(940, "mod", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2), T(INT2)), fn_i2mod) \
    F(941, "mod", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_i4mod) \
    F(947, "mod", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_i8mod) \
    F(1728, "mod", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_nummod) \
    F(440, "num_nonnulls", NULL, SCALAR, IMMUTABLE, VARIADIC, 0, T(INT4), ARGS(T(ANY)), fn_num_nonnulls) \
    F(438, "num_nulls", NULL, SCALAR, IMMUTABLE, VARIADIC, 0, T(INT4), ARGS(T(ANY)), fn_num_nulls) \
    F(1980, "numeric_div_trunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numdivtrunc) \
    F(1733, "numeric_exp", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numexp) \
    F(1735, "numeric_ln", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numln) \
    F(1737, "numeric_log", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numlogb) \
    F(1731, "numeric_sqrt", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numsqrt) \
    F(1610, "pi", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(), fn_pi) \
    F(1346, "pow", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_fpower) \
    F(1738, "pow", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numpower) \
    F(1368, "power", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8), T(FLOAT8)), fn_fpower) \
    F(2169, "power", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_numpower) \
    F(1609, "radians", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_radians) \
    F(1598, "random", NULL, SCALAR, VOLATILE, STRICT, 0, T(FLOAT8), ARGS(), fn_random) \
    F(1342, "round", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fround) \
    F(1707, "round", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(INT4)), fn_numroundn) \
    F(1708, "round", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numround) \
    F(3281, "scale", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(NUMERIC)), fn_numscale) \
    F(1706, "sign", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numsign) \
    F(2310, "sign", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fsign) \
    F(1604, "sin", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_sin) \
    F(2735, "sind", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_sind) \
    F(2462, "sinh", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_sinh) \
    F(1344, "sqrt", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_fsqrt) \
    F(1730, "sqrt", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numsqrt) \
    F(1606, "tan", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_tan) \
    F(2737, "tand", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_tand) \
    F(2464, "tanh", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_tanh) \
    F(5043, "trim_scale", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numtrim_scale) \
    F(1343, "trunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(FLOAT8)), fn_ftrunc) \
    F(1709, "trunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(INT4)), fn_numtruncn) \
    F(1710, "trunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_numtrunc) \
    F(2170, "width_bucket", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(NUMERIC), T(NUMERIC), T(NUMERIC), T(INT4)), fn_numwidth_bucket)

#define FUNC_ROWS_TEXT(F) \
    F(1660, "bpchariclike", "~~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(TEXT)), fn_ilike) \
    F(1661, "bpcharicnlike", "!~~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(TEXT)), fn_notilike) \
    F(1656, "bpcharicregexeq", "~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(TEXT)), fn_iregexeq) \
    F(1657, "bpcharicregexne", "!~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(TEXT)), fn_iregexne) \
    F(1631, "bpcharlike", "~~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(TEXT)), fn_like) \
    F(1632, "bpcharnlike", "!~~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(TEXT)), fn_notlike) \
    F(1658, "bpcharregexeq", "~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(TEXT)), fn_regexeq) \
    F(1659, "bpcharregexne", "!~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BPCHAR), T(TEXT)), fn_regexne) \
    F(2011, "byteacat", "||", SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(BYTEA)), fn_cat) \
    F(2005, "bytealike", "~~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), fn_like) \
    F(2006, "byteanlike", "!~~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), fn_notlike) \
    F(1635, "nameiclike", "~~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_ilike) \
    F(1636, "nameicnlike", "!~~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_notilike) \
    F(1240, "nameicregexeq", "~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_iregexeq) \
    F(1241, "nameicregexne", "!~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_iregexne) \
    F(858, "namelike", "~~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_like) \
    F(859, "namenlike", "!~~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_notlike) \
    F(79, "nameregexeq", "~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_regexeq) \
    F(1252, "nameregexne", "!~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_regexne) \
    F(3696, "starts_with", "^@", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_starts_with) \
    F(1258, "textcat", "||", SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_cat) \
    F(1633, "texticlike", "~~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_ilike) \
    F(1634, "texticnlike", "!~~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_notilike) \
    F(1238, "texticregexeq", "~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_iregexeq) \
    F(1239, "texticregexne", "!~*", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_iregexne) \
    F(850, "textlike", "~~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_like) \
    F(851, "textnlike", "!~~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_notlike) \
    F(1254, "textregexeq", "~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_regexeq) \
    F(1256, "textregexne", "!~", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_regexne) \
    F(1620, "ascii", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT)), fn_ascii) \
    F(6163, "bit_count", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(BYTEA)), fn_bit_count) \
    F(1810, "bit_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BYTEA)), fn_bit_length) \
    F(1811, "bit_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT)), fn_bit_length) \
    F(884, "btrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_btrim) \
    F(885, "btrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_btrim) \
    F(2015, "btrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(BYTEA)), fn_bbtrim) \
    F(1372, "char_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BPCHAR)), fn_bplength) \
    F(1381, "char_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT)), fn_length) \
    F(1367, "character_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BPCHAR)), fn_bplength) \
    F(1369, "character_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT)), fn_length) \
    F(1621, "chr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(INT4)), fn_chr) \
    F(3058, "concat", NULL, SCALAR, IMMUTABLE, VARIADIC, 0, T(TEXT), ARGS(T(ANY)), fn_concat) \
    F(3059, "concat_ws", NULL, SCALAR, IMMUTABLE, VARIADIC, 0, T(TEXT), ARGS(T(TEXT), T(ANY)), fn_concat_ws) \
    F(1714, "convert_from", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(BYTEA), T(NAME)), fn_convert_from) \
    F(1717, "convert_to", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(TEXT), T(NAME)), fn_convert_to) \
    F(1947, "decode", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(TEXT), T(TEXT)), fn_decode) \
    F(1946, "encode", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(BYTEA), T(TEXT)), fn_encode) \
    F(3539, "format", NULL, SCALAR, IMMUTABLE, VARIADIC, 0, T(TEXT), ARGS(T(TEXT), T(ANY)), fn_format) \
    F(3540, "format", NULL, SCALAR, IMMUTABLE, 0, 0, T(TEXT), ARGS(T(TEXT)), fn_format) \
    F(723, "get_bit", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BYTEA), T(INT8)), fn_get_bit) \
    F(721, "get_byte", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BYTEA), T(INT4)), fn_get_byte) \
    F(400, "hashtext", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT)), fn_hashtext) \
    F(872, "initcap", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_initcap) \
    F(3060, "left", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4)), fn_left) \
    F(1317, "length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT)), fn_length) \
    F(1318, "length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BPCHAR)), fn_bplength) \
    F(2010, "length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BYTEA)), fn_octet_length) \
    F(1569, "like", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_like) \
    F(1571, "like", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_like) \
    F(2007, "like", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), fn_like) \
    F(1637, "like_escape", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_like_escape) \
    F(870, "lower", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_lower) \
    F(873, "lpad", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4), T(TEXT)), fn_lpad) \
    F(879, "lpad", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4)), fn_lpad) \
    F(875, "ltrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_ltrim) \
    F(881, "ltrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_ltrim) \
    F(6195, "ltrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(BYTEA)), fn_bltrim) \
    F(2311, "md5", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_md5) \
    F(2321, "md5", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(BYTEA)), fn_md5) \
    F(1570, "notlike", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_notlike) \
    F(1572, "notlike", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_notlike) \
    F(2008, "notlike", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(BYTEA), T(BYTEA)), fn_notlike) \
    F(720, "octet_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BYTEA)), fn_octet_length) \
    F(1374, "octet_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT)), fn_octet_length) \
    F(1375, "octet_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BPCHAR)), fn_octet_length) \
    F(749, "overlay", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(BYTEA), T(INT4), T(INT4)), fn_boverlay) \
    F(752, "overlay", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(BYTEA), T(INT4)), fn_boverlay) \
    F(1404, "overlay", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(INT4), T(INT4)), fn_overlay) \
    F(1405, "overlay", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(INT4)), fn_overlay) \
    F(1264, "pg_char_to_encoding", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(NAME)), fn_pg_char_to_encoding) \
    F(3334, "pg_size_bytes", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(TEXT)), fn_pg_size_bytes) \
    F(849, "position", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT)), fn_strpos) \
    F(2014, "position", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(BYTEA), T(BYTEA)), fn_bposition) \
    F(1282, "quote_ident", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_quote_ident) \
    F(1283, "quote_literal", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_quote_literal) \
    F(1289, "quote_nullable", NULL, SCALAR, IMMUTABLE, 0, 0, T(TEXT), ARGS(T(TEXT)), fn_quote_nullable) \
    F(6254, "regexp_count", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT)), fn_regexp_count) \
    F(6255, "regexp_count", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT), T(INT4)), fn_regexp_count) \
    F(6256, "regexp_count", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT), T(INT4), T(TEXT)), fn_regexp_count) \
    F(6257, "regexp_instr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT)), fn_regexp_instr) \
    F(6258, "regexp_instr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT), T(INT4)), fn_regexp_instr) \
    F(6259, "regexp_instr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT), T(INT4), T(INT4)), fn_regexp_instr) \
    F(6260, "regexp_instr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT), T(INT4), T(INT4), T(INT4)), fn_regexp_instr) \
    F(6261, "regexp_instr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT), T(INT4), T(INT4), T(INT4), T(TEXT)), fn_regexp_instr) \
    F(6263, "regexp_like", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_regexp_like) \
    F(6264, "regexp_like", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_regexp_like) \
    F(3396, "regexp_match", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT_ARRAY), ARGS(T(TEXT), T(TEXT)), fn_regexp_match) \
    F(3397, "regexp_match", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT_ARRAY), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_regexp_match) \
    F(2284, "regexp_replace", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_regexp_replace) \
    F(2285, "regexp_replace", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT), T(TEXT)), fn_regexp_replace) \
    F(6251, "regexp_replace", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT), T(INT4), T(INT4), T(TEXT)), fn_regexp_replace) \
    F(6252, "regexp_replace", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT), T(INT4), T(INT4)), fn_regexp_replace) \
    F(6253, "regexp_replace", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT), T(INT4)), fn_regexp_replace) \
    F(6265, "regexp_substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_regexp_substr) \
    F(6266, "regexp_substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(INT4)), fn_regexp_substr) \
    F(6267, "regexp_substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(INT4), T(INT4)), fn_regexp_substr) \
    F(6268, "regexp_substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(INT4), T(INT4), T(TEXT)), fn_regexp_substr) \
    F(6269, "regexp_substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(INT4), T(INT4), T(TEXT), T(INT4)), fn_regexp_substr) \
    F(1622, "repeat", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4)), fn_repeat) \
    F(2087, "replace", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_replace) \
    F(3062, "reverse", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_reverse) \
    F(3061, "right", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4)), fn_right) \
    F(874, "rpad", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4), T(TEXT)), fn_rpad) \
    F(880, "rpad", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4)), fn_rpad) \
    F(876, "rtrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_rtrim) \
    F(882, "rtrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_rtrim) \
    F(6196, "rtrim", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(BYTEA)), fn_brtrim) \
    F(724, "set_bit", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(INT8), T(INT4)), fn_set_bit) \
    F(722, "set_byte", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(INT4), T(INT4)), fn_set_byte) \
    F(3419, "sha224", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA)), fn_sha224) \
    F(3420, "sha256", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA)), fn_sha256) \
    F(3421, "sha384", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA)), fn_sha384) \
    F(3422, "sha512", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA)), fn_sha512) \
    F(1986, "similar_to_escape", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_similar_escape) \
    F(1987, "similar_to_escape", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_similar_escape) \
    F(2088, "split_part", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(INT4)), fn_split_part) \
    F(868, "strpos", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT), T(TEXT)), fn_strpos) \
    F(877, "substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4), T(INT4)), fn_substr) \
    F(883, "substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4)), fn_substr) \
    F(2085, "substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(INT4), T(INT4)), fn_bsubstr) \
    F(2086, "substr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(INT4)), fn_bsubstr) \
    F(936, "substring", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4), T(INT4)), fn_substr) \
    F(937, "substring", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(INT4)), fn_substr) \
    F(2012, "substring", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(INT4), T(INT4)), fn_bsubstr) \
    F(2013, "substring", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BYTEA), ARGS(T(BYTEA), T(INT4)), fn_bsubstr) \
    F(2073, "substring", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_regexp_substring) \
    F(1257, "textlen", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(TEXT)), fn_length) \
    F(1772, "to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(NUMERIC), T(TEXT)), fn_to_char_num) \
    F(1773, "to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(INT4), T(TEXT)), fn_to_char_i4) \
    F(1774, "to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(INT8), T(TEXT)), fn_to_char_i8) \
    F(1775, "to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(FLOAT4), T(TEXT)), fn_to_char_f4) \
    F(1776, "to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(FLOAT8), T(TEXT)), fn_to_char_f8) \
    F(2089, "to_hex", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(INT4)), fn_to_hex) \
    F(2090, "to_hex", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(INT8)), fn_to_hex) \
    F(1777, "to_number", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(TEXT), T(TEXT)), fn_to_number) \
    F(3493, "to_regtype", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(REGTYPE), ARGS(T(TEXT)), fn_to_regtype) \
    F(878, "translate", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_translate) \
    F(871, "upper", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_upper)

#define FUNC_ROWS_DATETIME(F) \
    F(1140, "date_mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(DATE), T(DATE)), fn_date_mi) \
    F(2072, "date_mi_interval", "-", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(DATE), T(INTERVAL)), fn_date_mi_iv) \
    F(1142, "date_mii", "-", SCALAR, IMMUTABLE, STRICT, 0, T(DATE), ARGS(T(DATE), T(INT4)), fn_date_mii) \
    F(2071, "date_pl_interval", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(DATE), T(INTERVAL)), fn_date_pl_iv) \
    F(1141, "date_pli", "+", SCALAR, IMMUTABLE, STRICT, 0, T(DATE), ARGS(T(DATE), T(INT4)), fn_date_pli) \
    F(1272, "datetime_pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(DATE), T(TIME)), fn_date_pl_time) \
    F(2550, "integer_pl_date", "+", SCALAR, IMMUTABLE, STRICT, 0, T(DATE), ARGS(T(INT4), T(DATE)), fn_int_pl_date) \
    F(1326, "interval_div", "/", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL), T(FLOAT8)), fn_iv_div) \
    F(1170, "interval_mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL), T(INTERVAL)), fn_iv_mi) \
    F(1618, "interval_mul", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL), T(FLOAT8)), fn_iv_mul) \
    F(1169, "interval_pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL), T(INTERVAL)), fn_iv_pl) \
    F(2546, "interval_pl_date", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(INTERVAL), T(DATE)), fn_iv_pl_date) \
    F(1848, "interval_pl_time", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIME), ARGS(T(INTERVAL), T(TIME)), fn_iv_pl_time) \
    F(2548, "interval_pl_timestamp", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(INTERVAL), T(TIMESTAMP)), fn_iv_pl_ts) \
    F(2549, "interval_pl_timestamptz", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(INTERVAL), T(TIMESTAMPTZ)), fn_iv_pl_ts) \
    F(1168, "interval_um", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL)), fn_iv_um) \
    F(1624, "mul_d_interval", "*", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(FLOAT8), T(INTERVAL)), fn_mul_d_iv) \
    F(1748, "time_mi_interval", "-", SCALAR, IMMUTABLE, STRICT, 0, T(TIME), ARGS(T(TIME), T(INTERVAL)), fn_time_mi_iv) \
    F(1690, "time_mi_time", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(TIME), T(TIME)), fn_time_mi_time) \
    F(1747, "time_pl_interval", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIME), ARGS(T(TIME), T(INTERVAL)), fn_time_pl_iv) \
    F(1296, "timedate_pl", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(TIME), T(DATE)), fn_time_pl_date) \
    F(2031, "timestamp_mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(TIMESTAMP), T(TIMESTAMP)), fn_ts_mi) \
    F(2033, "timestamp_mi_interval", "-", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(TIMESTAMP), T(INTERVAL)), fn_ts_mi_iv) \
    F(2032, "timestamp_pl_interval", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(TIMESTAMP), T(INTERVAL)), fn_ts_pl_iv) \
    F(1188, "timestamptz_mi", "-", SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ)), fn_ts_mi) \
    F(1190, "timestamptz_mi_interval", "-", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TIMESTAMPTZ), T(INTERVAL)), fn_ts_mi_iv) \
    F(1189, "timestamptz_pl_interval", "+", SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TIMESTAMPTZ), T(INTERVAL)), fn_ts_pl_iv) \
    F(1199, "age", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ)), fn_age) \
    F(1386, "age", NULL, SCALAR, STABLE, STRICT, 0, T(INTERVAL), ARGS(T(TIMESTAMPTZ)), fn_age_now) \
    F(2058, "age", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(TIMESTAMP), T(TIMESTAMP)), fn_age) \
    F(2059, "age", NULL, SCALAR, STABLE, STRICT, 0, T(INTERVAL), ARGS(T(TIMESTAMP)), fn_age_now) \
    F(2649, "clock_timestamp", NULL, SCALAR, VOLATILE, STRICT, 0, T(TIMESTAMPTZ), ARGS(), fn_clock_timestamp) \
    F(6177, "date_bin", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(INTERVAL), T(TIMESTAMP), T(TIMESTAMP)), fn_date_bin) \
    F(6178, "date_bin", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(INTERVAL), T(TIMESTAMPTZ), T(TIMESTAMPTZ)), fn_date_bin) \
    F(1171, "date_part", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(TEXT), T(TIMESTAMPTZ)), fn_date_part_ts) \
    F(1172, "date_part", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(TEXT), T(INTERVAL)), fn_date_part_iv) \
    F(1384, "date_part", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(TEXT), T(DATE)), fn_date_part_date) \
    F(1385, "date_part", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(TEXT), T(TIME)), fn_date_part_time) \
    F(2021, "date_part", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT8), ARGS(T(TEXT), T(TIMESTAMP)), fn_date_part_ts) \
    F(1217, "date_trunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TEXT), T(TIMESTAMPTZ)), fn_date_trunc_ts) \
    F(1218, "date_trunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(TEXT), T(INTERVAL)), fn_date_trunc_iv) \
    F(1284, "date_trunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TEXT), T(TIMESTAMPTZ), T(TEXT)), fn_date_trunc_tz) \
    F(2020, "date_trunc", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(TEXT), T(TIMESTAMP)), fn_date_trunc_ts) \
    F(6199, "extract", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(TEXT), T(DATE)), fn_extract_date) \
    F(6200, "extract", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(TEXT), T(TIME)), fn_extract_time) \
    F(6202, "extract", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(TEXT), T(TIMESTAMP)), fn_extract_ts) \
    F(6203, "extract", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(TEXT), T(TIMESTAMPTZ)), fn_extract_ts) \
    F(6204, "extract", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(TEXT), T(INTERVAL)), fn_extract_iv) \
    F(1373, "isfinite", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(DATE)), fn_isfinite_date) \
    F(1389, "isfinite", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMPTZ)), fn_isfinite_ts) \
    F(1390, "isfinite", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(INTERVAL)), fn_isfinite_iv) \
    F(2048, "isfinite", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(TIMESTAMP)), fn_isfinite_ts) \
    F(1295, "justify_days", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL)), fn_justify_days) \
    F(1175, "justify_hours", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL)), fn_justify_hours) \
    F(2711, "justify_interval", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL)), fn_justify_interval) \
    F(3846, "make_date", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(DATE), ARGS(T(INT4), T(INT4), T(INT4)), fn_make_date) \
    F(3464, "make_interval", NULL, SCALAR, IMMUTABLE, STRICT, 7, T(INTERVAL), ARGS(T(INT4), T(INT4), T(INT4), T(INT4), T(INT4), T(INT4), T(FLOAT8)), fn_make_interval) \
    F(3847, "make_time", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIME), ARGS(T(INT4), T(INT4), T(FLOAT8)), fn_make_time) \
    F(3461, "make_timestamp", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(INT4), T(INT4), T(INT4), T(INT4), T(INT4), T(FLOAT8)), fn_make_timestamp) \
    F(3462, "make_timestamptz", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(INT4), T(INT4), T(INT4), T(INT4), T(INT4), T(FLOAT8)), fn_make_timestamp) \
    F(1299, "now", NULL, SCALAR, STABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(), fn_now) \
    F(1304, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ), T(TIMESTAMPTZ), T(TIMESTAMPTZ)), fn_overlaps) \
    F(1305, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(INTERVAL), T(TIMESTAMPTZ), T(INTERVAL)), fn_overlaps) \
    F(1306, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ), T(TIMESTAMPTZ), T(INTERVAL)), fn_overlaps) \
    F(1307, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIMESTAMPTZ), T(INTERVAL), T(TIMESTAMPTZ), T(TIMESTAMPTZ)), fn_overlaps) \
    F(1308, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIME), T(TIME), T(TIME), T(TIME)), fn_overlaps) \
    F(1309, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIME), T(INTERVAL), T(TIME), T(INTERVAL)), fn_overlaps) \
    F(1310, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIME), T(TIME), T(TIME), T(INTERVAL)), fn_overlaps) \
    F(1311, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIME), T(INTERVAL), T(TIME), T(TIME)), fn_overlaps) \
    F(2041, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMP), T(TIMESTAMP), T(TIMESTAMP)), fn_overlaps) \
    F(2042, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIMESTAMP), T(INTERVAL), T(TIMESTAMP), T(INTERVAL)), fn_overlaps) \
    F(2043, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIMESTAMP), T(TIMESTAMP), T(TIMESTAMP), T(INTERVAL)), fn_overlaps) \
    F(2044, "overlaps", NULL, SCALAR, IMMUTABLE, 0, 0, T(BOOL), ARGS(T(TIMESTAMP), T(INTERVAL), T(TIMESTAMP), T(TIMESTAMP)), fn_overlaps) \
    F(2648, "statement_timestamp", NULL, SCALAR, STABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(), fn_statement_timestamp) \
    F(274, "timeofday", NULL, SCALAR, VOLATILE, STRICT, 0, T(TEXT), ARGS(), fn_timeofday) \
    F(1026, "timezone", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(INTERVAL), T(TIMESTAMPTZ)), fn_timezone_at_iv) \
    F(1159, "timezone", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(TEXT), T(TIMESTAMPTZ)), fn_timezone_at_name) \
    F(2069, "timezone", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TEXT), T(TIMESTAMP)), fn_timezone_to_name) \
    F(2070, "timezone", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(INTERVAL), T(TIMESTAMP)), fn_timezone_to_iv) \
    F(1768, "to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(INTERVAL), T(TEXT)), fn_to_char_iv) \
    F(1770, "to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TIMESTAMPTZ), T(TEXT)), fn_to_char_ts) \
    F(2049, "to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TIMESTAMP), T(TEXT)), fn_to_char_ts) \
    F(1780, "to_date", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(DATE), ARGS(T(TEXT), T(TEXT)), fn_to_date) \
    F(1158, "to_timestamp", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(FLOAT8)), fn_epoch_to_ts) \
    F(1778, "to_timestamp", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TEXT), T(TEXT)), fn_to_timestamp) \
    F(2647, "transaction_timestamp", NULL, SCALAR, STABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(), fn_now) \
    F(12010, "current_date", NULL, SCALAR, STABLE, STRICT, 0, T(DATE), ARGS(), fn_current_date) \
    F(12011, "current_timestamp", NULL, SCALAR, STABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(), fn_now) \
    F(12012, "localtimestamp", NULL, SCALAR, STABLE, STRICT, 0, T(TIMESTAMP), ARGS(), fn_now) \
    F(12013, "localtime", NULL, SCALAR, STABLE, STRICT, 0, T(TIME), ARGS(), fn_localtime)

#define FUNC_ROWS_ARRAY(F) \
    F(2763, "regexp_matches", NULL, SET, IMMUTABLE, STRICT, 0, T(TEXT_ARRAY), ARGS(T(TEXT), T(TEXT)), fn_regexp_matches) \
    F(2764, "regexp_matches", NULL, SET, IMMUTABLE, STRICT, 0, T(TEXT_ARRAY), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_regexp_matches) \
    F(2004, "anytextcat", "||", SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(ANYNONARRAY), T(TEXT)), fn_anytextcat) \
    F(378, "array_append", "||", SCALAR, IMMUTABLE, 0, 0, T(ANYCOMPATIBLEARRAY), ARGS(T(ANYCOMPATIBLEARRAY), T(ANYCOMPATIBLE)), fn_array_append) \
    F(383, "array_cat", "||", SCALAR, IMMUTABLE, 0, 0, T(ANYCOMPATIBLEARRAY), ARGS(T(ANYCOMPATIBLEARRAY), T(ANYCOMPATIBLEARRAY)), fn_array_cat) \
    F(379, "array_prepend", "||", SCALAR, IMMUTABLE, 0, 0, T(ANYCOMPATIBLEARRAY), ARGS(T(ANYCOMPATIBLE), T(ANYCOMPATIBLEARRAY)), fn_array_prepend) \
    F(2749, "arraycontained", "<@", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), fn_arraycontained) \
    F(2748, "arraycontains", "@>", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), fn_arraycontains) \
    F(2747, "arrayoverlap", "&&", SCALAR, IMMUTABLE, STRICT, 0, T(BOOL), ARGS(T(ANYARRAY), T(ANYARRAY)), fn_arrayoverlap) \
    F(2003, "textanycat", "||", SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(ANYNONARRAY)), fn_textanycat) \
    F(747, "array_dims", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(ANYARRAY)), fn_array_dims) \
    F(1193, "array_fill", NULL, SCALAR, IMMUTABLE, 0, 0, T(ANYARRAY), ARGS(T(ANYELEMENT), T(INT4_ARRAY)), fn_array_fill) \
    F(1286, "array_fill", NULL, SCALAR, IMMUTABLE, 0, 0, T(ANYARRAY), ARGS(T(ANYELEMENT), T(INT4_ARRAY), T(INT4_ARRAY)), fn_array_fill) \
    F(2176, "array_length", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(ANYARRAY), T(INT4)), fn_array_length) \
    F(2091, "array_lower", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(ANYARRAY), T(INT4)), fn_array_lower) \
    F(748, "array_ndims", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(ANYARRAY)), fn_array_ndims) \
    F(3277, "array_position", NULL, SCALAR, IMMUTABLE, 0, 0, T(INT4), ARGS(T(ANYCOMPATIBLEARRAY), T(ANYCOMPATIBLE)), fn_array_position) \
    F(3278, "array_position", NULL, SCALAR, IMMUTABLE, 0, 0, T(INT4), ARGS(T(ANYCOMPATIBLEARRAY), T(ANYCOMPATIBLE), T(INT4)), fn_array_position) \
    F(3279, "array_positions", NULL, SCALAR, IMMUTABLE, 0, 0, T(INT4_ARRAY), ARGS(T(ANYCOMPATIBLEARRAY), T(ANYCOMPATIBLE)), fn_array_positions) \
    F(3167, "array_remove", NULL, SCALAR, IMMUTABLE, 0, 0, T(ANYCOMPATIBLEARRAY), ARGS(T(ANYCOMPATIBLEARRAY), T(ANYCOMPATIBLE)), fn_array_remove) \
    F(3168, "array_replace", NULL, SCALAR, IMMUTABLE, 0, 0, T(ANYCOMPATIBLEARRAY), ARGS(T(ANYCOMPATIBLEARRAY), T(ANYCOMPATIBLE), T(ANYCOMPATIBLE)), fn_array_replace) \
    F(384, "array_to_string", NULL, SCALAR, IMMUTABLE, 0, 0, T(TEXT), ARGS(T(ANYARRAY), T(TEXT), T(TEXT)), fn_array_to_string) \
    F(395, "array_to_string", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(ANYARRAY), T(TEXT)), fn_array_to_string) \
    F(2092, "array_upper", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(ANYARRAY), T(INT4)), fn_array_upper) \
    F(3179, "cardinality", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(ANYARRAY)), fn_cardinality) \
    F(938, "generate_series", NULL, SET, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(TIMESTAMP), T(TIMESTAMP), T(INTERVAL)), fn_generate_series) \
    F(939, "generate_series", NULL, SET, IMMUTABLE, STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TIMESTAMPTZ), T(TIMESTAMPTZ), T(INTERVAL)), fn_generate_series) \
    F(1066, "generate_series", NULL, SET, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4), T(INT4)), fn_generate_series) \
    F(1067, "generate_series", NULL, SET, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4), T(INT4)), fn_generate_series) \
    F(1068, "generate_series", NULL, SET, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8), T(INT8)), fn_generate_series) \
    F(1069, "generate_series", NULL, SET, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8), T(INT8)), fn_generate_series) \
    F(3259, "generate_series", NULL, SET, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC), T(NUMERIC)), fn_generate_series) \
    F(3260, "generate_series", NULL, SET, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(NUMERIC)), fn_generate_series) \
    F(1191, "generate_subscripts", NULL, SET, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(ANYARRAY), T(INT4), T(BOOL)), fn_generate_subscripts) \
    F(1192, "generate_subscripts", NULL, SET, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(ANYARRAY), T(INT4)), fn_generate_subscripts) \
    F(3425, "pg_partition_ancestors", NULL, SET, IMMUTABLE, STRICT, 0, T(REGCLASS), ARGS(T(REGCLASS)), fn_no_relations) \
    F(2767, "regexp_split_to_array", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT_ARRAY), ARGS(T(TEXT), T(TEXT)), fn_regexp_split_to_array) \
    F(2768, "regexp_split_to_array", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT_ARRAY), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_regexp_split_to_array) \
    F(2765, "regexp_split_to_table", NULL, SET, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_regexp_split_to_array) \
    F(2766, "regexp_split_to_table", NULL, SET, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_regexp_split_to_array) \
    F(376, "string_to_array", NULL, SCALAR, IMMUTABLE, 0, 0, T(TEXT_ARRAY), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_string_to_array) \
    F(394, "string_to_array", NULL, SCALAR, IMMUTABLE, 0, 0, T(TEXT_ARRAY), ARGS(T(TEXT), T(TEXT)), fn_string_to_array) \
    F(6160, "string_to_table", NULL, SET, IMMUTABLE, 0, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_string_to_array) \
    F(6161, "string_to_table", NULL, SET, IMMUTABLE, 0, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_string_to_array) \
    F(6172, "trim_array", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(ANYARRAY), ARGS(T(ANYARRAY), T(INT4)), fn_trim_array) \
    F(2331, "unnest", NULL, SET, IMMUTABLE, STRICT, 0, T(ANYELEMENT), ARGS(T(ANYARRAY)), fn_same) \
    F(12020, "array_subscript", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(ANYELEMENT), ARGS(T(ANYARRAY), T(INT4)), fn_array_subscript) \
    F(12021, "array_slice", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(ANYARRAY), ARGS(T(ANYARRAY), T(INT4), T(INT4)), fn_array_slice)

#define FUNC_ROWS_MISC(F) \
    F(207, "float4abs", "@", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT4), ARGS(T(FLOAT4)), fn_fabs) \
    F(206, "float4um", "-", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT4), ARGS(T(FLOAT4)), fn_fum) \
    F(1913, "float4up", "+", SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT4), ARGS(T(FLOAT4)), fn_same) \
    F(1911, "int2up", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT2), ARGS(T(INT2)), fn_same) \
    F(1912, "int4up", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(INT4)), fn_same) \
    F(1910, "int8up", "+", SCALAR, IMMUTABLE, STRICT, 0, T(INT8), ARGS(T(INT8)), fn_same) \
    F(1915, "numeric_uplus", "+", SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC)), fn_same) \
    F(1394, "abs", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(FLOAT4), ARGS(T(FLOAT4)), fn_fabs) \
    F(1376, "factorial", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NUMERIC), ARGS(T(INT8)), fn_factorial) \
    F(1081, "format_type", NULL, SCALAR, IMMUTABLE, 0, 0, T(TEXT), ARGS(T(OID), T(INT4)), fn_format_type) \
    F(3432, "gen_random_uuid", NULL, SCALAR, VOLATILE, STRICT, 0, T(UUID), ARGS(), fn_gen_random_uuid) \
    F(1269, "pg_column_size", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(ANY)), fn_pg_column_size) \
    F(1597, "pg_encoding_to_char", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(NAME), ARGS(T(INT4)), fn_pg_encoding_to_char) \
    F(2288, "pg_size_pretty", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(INT8)), fn_pg_size_pretty) \
    F(3166, "pg_size_pretty", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(NUMERIC)), fn_pg_size_pretty_num) \
    F(3200, "json_build_object", NULL, SCALAR, STABLE, VARIADIC, 0, T(JSON), ARGS(T(ANY)), fn_json_build_object) \
    F(3198, "json_build_array", NULL, SCALAR, STABLE, VARIADIC, 0, T(JSON), ARGS(T(ANY)), fn_json_build_array) \
    F(1619, "pg_typeof", NULL, SCALAR, IMMUTABLE, 0, 0, T(REGTYPE), ARGS(T(ANY)), fn_pg_typeof) \
    F(1285, "quote_literal", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(ANYELEMENT)), fn_quote_literal) \
    F(1290, "quote_nullable", NULL, SCALAR, IMMUTABLE, 0, 0, T(TEXT), ARGS(T(ANYELEMENT)), fn_quote_nullable) \
    F(320, "width_bucket", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(INT4), ARGS(T(FLOAT8), T(FLOAT8), T(FLOAT8), T(INT4)), fn_fwidth_bucket) \
    F(12022, "nullif", NULL, SCALAR, IMMUTABLE, 0, 0, T(ANYELEMENT), ARGS(T(ANYELEMENT), T(ANYELEMENT)), fn_nullif) \
    F(1716, "pg_get_expr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(OID)), fn_same) \
    F(2509, "pg_get_expr", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TEXT), ARGS(T(TEXT), T(OID), T(BOOL)), fn_same)

#define FUNC_ROWS_SESSION(F) \
    F(1216, "col_description", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(INT4)), fn_none) \
    F(861, "current_database", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none) \
    F(817, "current_query", NULL, SCALAR, VOLATILE, NS, 0, T(TEXT), ARGS(), fn_none) \
    F(1402, "current_schema", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none) \
    F(1403, "current_schemas", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME_ARRAY), ARGS(T(BOOL)), fn_none) \
    F(2077, "current_setting", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_none) \
    F(3294, "current_setting", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(TEXT), T(BOOL)), fn_none) \
    F(745, "current_user", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none) \
    F(1575, "currval", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS)), fn_none) \
    F(1039, "getdatabaseencoding", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none) \
    F(3024, "has_any_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(3025, "has_any_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(3026, "has_any_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(3027, "has_any_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(3028, "has_any_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(3029, "has_any_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(3012, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT), T(TEXT)), fn_none) \
    F(3013, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(INT2), T(TEXT)), fn_none) \
    F(3014, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(3015, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(INT2), T(TEXT)), fn_none) \
    F(3016, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT), T(TEXT)), fn_none) \
    F(3017, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(INT2), T(TEXT)), fn_none) \
    F(3018, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(3019, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(INT2), T(TEXT)), fn_none) \
    F(3020, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT), T(TEXT)), fn_none) \
    F(3021, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(INT2), T(TEXT)), fn_none) \
    F(3022, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(3023, "has_column_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(INT2), T(TEXT)), fn_none) \
    F(2250, "has_database_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(2251, "has_database_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(2252, "has_database_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(2253, "has_database_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(2254, "has_database_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(2255, "has_database_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(2256, "has_function_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(2257, "has_function_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(2258, "has_function_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(2259, "has_function_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(2260, "has_function_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(2261, "has_function_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(2262, "has_language_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(2263, "has_language_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(2264, "has_language_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(2265, "has_language_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(2266, "has_language_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(2267, "has_language_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(2268, "has_schema_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(2269, "has_schema_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(2270, "has_schema_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(2271, "has_schema_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(2272, "has_schema_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(2273, "has_schema_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(2181, "has_sequence_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(2182, "has_sequence_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(2183, "has_sequence_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(2184, "has_sequence_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(2185, "has_sequence_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(2186, "has_sequence_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(1922, "has_table_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(1923, "has_table_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(1924, "has_table_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(1925, "has_table_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(1926, "has_table_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(1927, "has_table_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(2390, "has_tablespace_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(2391, "has_tablespace_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(2392, "has_tablespace_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(2393, "has_tablespace_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(2394, "has_tablespace_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(2395, "has_tablespace_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(3138, "has_type_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT), T(TEXT)), fn_none) \
    F(3139, "has_type_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(3140, "has_type_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT), T(TEXT)), fn_none) \
    F(3141, "has_type_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(3142, "has_type_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(3143, "has_type_privilege", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(2197, "inet_client_port", NULL, SCALAR, STABLE, NS, 0, T(INT4), ARGS(), fn_none) \
    F(2199, "inet_server_port", NULL, SCALAR, STABLE, NS, 0, T(INT4), ARGS(), fn_none) \
    F(2559, "lastval", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(), fn_none) \
    F(1574, "nextval", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS)), fn_none) \
    F(1215, "obj_description", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(NAME)), fn_none) \
    F(1348, "obj_description", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2880, "pg_advisory_lock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(T(INT8)), fn_none) \
    F(2886, "pg_advisory_lock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(T(INT4), T(INT4)), fn_none) \
    F(2881, "pg_advisory_lock_shared", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(T(INT8)), fn_none) \
    F(2887, "pg_advisory_lock_shared", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(T(INT4), T(INT4)), fn_none) \
    F(2884, "pg_advisory_unlock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT8)), fn_none) \
    F(2890, "pg_advisory_unlock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), fn_none) \
    F(2892, "pg_advisory_unlock_all", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(), fn_none) \
    F(2885, "pg_advisory_unlock_shared", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT8)), fn_none) \
    F(2891, "pg_advisory_unlock_shared", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), fn_none) \
    F(3089, "pg_advisory_xact_lock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(T(INT8)), fn_none) \
    F(3093, "pg_advisory_xact_lock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(T(INT4), T(INT4)), fn_none) \
    F(2026, "pg_backend_pid", NULL, SCALAR, STABLE, NS | STRICT, 0, T(INT4), ARGS(), fn_none) \
    F(2561, "pg_blocking_pids", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT4_ARRAY), ARGS(T(INT4)), fn_none) \
    F(2171, "pg_cancel_backend", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT4)), fn_none) \
    F(810, "pg_client_encoding", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none) \
    F(3815, "pg_collation_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3843, "pg_column_is_updatable", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(REGCLASS), T(INT2), T(BOOL)), fn_none) \
    F(2034, "pg_conf_load_time", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TIMESTAMPTZ), ARGS(), fn_none) \
    F(2093, "pg_conversion_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(2168, "pg_database_size", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(NAME)), fn_none) \
    F(2324, "pg_database_size", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(OID)), fn_none) \
    F(3809, "pg_export_snapshot", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(TEXT), ARGS(), fn_none) \
    F(2081, "pg_function_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(1387, "pg_get_constraintdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2508, "pg_get_constraintdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(BOOL)), fn_none) \
    F(2162, "pg_get_function_arguments", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2232, "pg_get_function_identity_arguments", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2165, "pg_get_function_result", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2098, "pg_get_functiondef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(1643, "pg_get_indexdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2507, "pg_get_indexdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(INT4), T(BOOL)), fn_none) \
    F(3352, "pg_get_partkeydef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(1573, "pg_get_ruledef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2504, "pg_get_ruledef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(BOOL)), fn_none) \
    F(1665, "pg_get_serial_sequence", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(TEXT), T(TEXT)), fn_none) \
    F(6174, "pg_get_statisticsobjdef_columns", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(1662, "pg_get_triggerdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2730, "pg_get_triggerdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(BOOL)), fn_none) \
    F(1642, "pg_get_userbyid", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(T(OID)), fn_none) \
    F(1640, "pg_get_viewdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_none) \
    F(1641, "pg_get_viewdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2505, "pg_get_viewdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(TEXT), T(BOOL)), fn_none) \
    F(2506, "pg_get_viewdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(BOOL)), fn_none) \
    F(3159, "pg_get_viewdef", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(INT4)), fn_none) \
    F(2705, "pg_has_role", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(NAME), T(TEXT)), fn_none) \
    F(2706, "pg_has_role", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(OID), T(TEXT)), fn_none) \
    F(2707, "pg_has_role", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(NAME), T(TEXT)), fn_none) \
    F(2708, "pg_has_role", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(OID), T(TEXT)), fn_none) \
    F(2709, "pg_has_role", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(NAME), T(TEXT)), fn_none) \
    F(2710, "pg_has_role", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID), T(TEXT)), fn_none) \
    F(2998, "pg_indexes_size", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS)), fn_none) \
    F(3810, "pg_is_in_recovery", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(), fn_none) \
    F(2855, "pg_is_other_temp_schema", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(2854, "pg_my_temp_schema", NULL, SCALAR, STABLE, NS | STRICT, 0, T(OID), ARGS(), fn_none) \
    F(2083, "pg_opclass_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(2082, "pg_operator_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3829, "pg_opfamily_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3424, "pg_partition_root", NULL, SCALAR, IMMUTABLE, NS | STRICT, 0, T(REGCLASS), ARGS(T(REGCLASS)), fn_none) \
    F(2560, "pg_postmaster_start_time", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TIMESTAMPTZ), ARGS(), fn_none) \
    F(2999, "pg_relation_filenode", NULL, SCALAR, STABLE, NS | STRICT, 0, T(OID), ARGS(T(REGCLASS)), fn_none) \
    F(6121, "pg_relation_is_publishable", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(REGCLASS)), fn_none) \
    F(3842, "pg_relation_is_updatable", NULL, SCALAR, STABLE, NS | STRICT, 0, T(INT4), ARGS(T(REGCLASS), T(BOOL)), fn_none) \
    F(2325, "pg_relation_size", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS)), fn_none) \
    F(2332, "pg_relation_size", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS), T(TEXT)), fn_none) \
    F(4032, "pg_sequence_last_value", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS)), fn_none) \
    F(2626, "pg_sleep", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(T(FLOAT8)), fn_none) \
    F(1928, "pg_stat_get_numscans", NULL, SCALAR, STABLE, NS | STRICT, 0, T(INT8), ARGS(T(OID)), fn_none) \
    F(3403, "pg_statistics_obj_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(2079, "pg_table_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3758, "pg_ts_config_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3757, "pg_ts_dict_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3756, "pg_ts_parser_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3768, "pg_ts_template_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(2997, "pg_table_size", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS)), fn_none) \
    F(3778, "pg_tablespace_location", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID)), fn_none) \
    F(2096, "pg_terminate_backend", NULL, SCALAR, VOLATILE, NS | STRICT, 1, T(BOOL), ARGS(T(INT4), T(INT8)), fn_none) \
    F(2286, "pg_total_relation_size", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS)), fn_none) \
    F(3163, "pg_trigger_depth", NULL, SCALAR, STABLE, NS | STRICT, 0, T(INT4), ARGS(), fn_none) \
    F(2882, "pg_try_advisory_lock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT8)), fn_none) \
    F(2888, "pg_try_advisory_lock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), fn_none) \
    F(2883, "pg_try_advisory_lock_shared", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT8)), fn_none) \
    F(2889, "pg_try_advisory_lock_shared", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), fn_none) \
    F(3091, "pg_try_advisory_xact_lock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT8)), fn_none) \
    F(3095, "pg_try_advisory_xact_lock", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(BOOL), ARGS(T(INT4), T(INT4)), fn_none) \
    F(2080, "pg_type_is_visible", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3298, "row_security_active", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(OID)), fn_none) \
    F(3299, "row_security_active", NULL, SCALAR, STABLE, NS | STRICT, 0, T(BOOL), ARGS(T(TEXT)), fn_none) \
    F(746, "session_user", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none) \
    F(2078, "set_config", NULL, SCALAR, VOLATILE, NS, 0, T(TEXT), ARGS(T(TEXT), T(TEXT), T(BOOL)), fn_none) \
    F(1599, "setseed", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(VOID), ARGS(T(FLOAT8)), fn_none) \
    F(1576, "setval", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS), T(INT8)), fn_none) \
    F(1765, "setval", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(INT8), ARGS(T(REGCLASS), T(INT8), T(BOOL)), fn_none) \
    F(12030, "sherd_snapshot", NULL, SCALAR, STABLE, NS, 0, T(INT8), ARGS(), fn_none) \
    F(12031, "sherd_transaction_id", NULL, SCALAR, STABLE, NS, 0, T(TEXT), ARGS(), fn_none) \
    F(12032, "sherd_transaction_status", NULL, SCALAR, VOLATILE, NS | STRICT, 0, T(TEXT), ARGS(T(TEXT)), fn_none) \
    F(1993, "shobj_description", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(T(OID), T(NAME)), fn_none) \
    F(3495, "to_regclass", NULL, SCALAR, STABLE, NS | STRICT, 0, T(REGCLASS), ARGS(T(TEXT)), fn_none) \
    F(4086, "to_regnamespace", NULL, SCALAR, STABLE, NS | STRICT, 0, T(REGNAMESPACE), ARGS(T(TEXT)), fn_none) \
    F(3494, "to_regproc", NULL, SCALAR, STABLE, NS | STRICT, 0, T(REGPROC), ARGS(T(TEXT)), fn_none) \
    F(4093, "to_regrole", NULL, SCALAR, STABLE, NS | STRICT, 0, T(REGROLE), ARGS(T(TEXT)), fn_none) \
    F(2943, "txid_current", NULL, SCALAR, STABLE, NS | STRICT, 0, T(INT8), ARGS(), fn_none) \
    F(3348, "txid_current_if_assigned", NULL, SCALAR, STABLE, NS | STRICT, 0, T(INT8), ARGS(), fn_none) \
    F(89, "version", NULL, SCALAR, STABLE, NS | STRICT, 0, T(TEXT), ARGS(), fn_none) \
    F(12014, "current_role", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none) \
    F(12015, "user", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none) \
    F(12016, "current_catalog", NULL, SCALAR, STABLE, NS | STRICT, 0, T(NAME), ARGS(), fn_none)

#define FUNC_ROWS_CAST(F) \
    F(2557, "bool", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(BOOL), ARGS(T(INT4)), fn_cast_i4_bool) \
    F(408, "bpchar", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(BPCHAR), ARGS(T(NAME)), fn_same) \
    F(668, "bpchar", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(BPCHAR), ARGS(T(BPCHAR), T(INT4), T(BOOL)), fn_cast_bpchar) \
    F(860, "bpchar", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(BPCHAR), ARGS(T(CHAR)), fn_cast_c_s) \
    F(78, "char", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(CHAR), ARGS(T(INT4)), fn_cast_i4_c) \
    F(944, "char", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(CHAR), ARGS(T(TEXT)), fn_cast_s_c) \
    F(1178, "date", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(DATE), ARGS(T(TIMESTAMPTZ)), fn_cast_ts_date) \
    F(2029, "date", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(DATE), ARGS(T(TIMESTAMP)), fn_cast_ts_date) \
    F(236, "float4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT4), ARGS(T(INT2)), fn_cast_i2_f4) \
    F(312, "float4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT4), ARGS(T(FLOAT8)), fn_cast_f8_f4) \
    F(318, "float4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT4), ARGS(T(INT4)), fn_cast_i4_f4) \
    F(652, "float4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT4), ARGS(T(INT8)), fn_cast_i8_f4) \
    F(1745, "float4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT4), ARGS(T(NUMERIC)), fn_cast_num_f4) \
    F(235, "float8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT8), ARGS(T(INT2)), fn_cast_i2_f8) \
    F(311, "float8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT8), ARGS(T(FLOAT4)), fn_same) \
    F(316, "float8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT8), ARGS(T(INT4)), fn_cast_i4_f8) \
    F(482, "float8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT8), ARGS(T(INT8)), fn_cast_i8_f8) \
    F(1746, "float8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(FLOAT8), ARGS(T(NUMERIC)), fn_cast_num_f8) \
    F(237, "int2", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT2), ARGS(T(FLOAT8)), fn_cast_f8_i2) \
    F(238, "int2", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT2), ARGS(T(FLOAT4)), fn_cast_f4_i2) \
    F(314, "int2", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT2), ARGS(T(INT4)), fn_cast_i4_i2) \
    F(714, "int2", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT2), ARGS(T(INT8)), fn_cast_i8_i2) \
    F(1783, "int2", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT2), ARGS(T(NUMERIC)), fn_cast_num_i2) \
    F(77, "int4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT4), ARGS(T(CHAR)), fn_cast_c_i4) \
    F(313, "int4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT4), ARGS(T(INT2)), fn_same) \
    F(317, "int4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT4), ARGS(T(FLOAT8)), fn_cast_f8_i4) \
    F(319, "int4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT4), ARGS(T(FLOAT4)), fn_cast_f4_i4) \
    F(480, "int4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT4), ARGS(T(INT8)), fn_cast_i8_i4) \
    F(1744, "int4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT4), ARGS(T(NUMERIC)), fn_cast_num_i4) \
    F(2558, "int4", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT4), ARGS(T(BOOL)), fn_cast_bool_i4) \
    F(481, "int8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT8), ARGS(T(INT4)), fn_same) \
    F(483, "int8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT8), ARGS(T(FLOAT8)), fn_cast_f8_i8) \
    F(653, "int8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT8), ARGS(T(FLOAT4)), fn_cast_f4_i8) \
    F(754, "int8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT8), ARGS(T(INT2)), fn_same) \
    F(1288, "int8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT8), ARGS(T(OID)), fn_same) \
    F(1779, "int8", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INT8), ARGS(T(NUMERIC)), fn_cast_num_i8) \
    F(1200, "interval", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INTERVAL), ARGS(T(INTERVAL), T(INT4)), fn_cast_iv_scale) \
    F(1370, "interval", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(INTERVAL), ARGS(T(TIME)), fn_cast_time_iv) \
    F(407, "name", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NAME), ARGS(T(TEXT)), fn_cast_s_name) \
    F(409, "name", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NAME), ARGS(T(BPCHAR)), fn_cast_bp_name) \
    F(1400, "name", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NAME), ARGS(T(VARCHAR)), fn_cast_s_name) \
    F(1703, "numeric", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NUMERIC), ARGS(T(NUMERIC), T(INT4)), fn_cast_numeric) \
    F(1740, "numeric", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NUMERIC), ARGS(T(INT4)), fn_cast_i4_num) \
    F(1742, "numeric", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NUMERIC), ARGS(T(FLOAT4)), fn_cast_f4_num) \
    F(1743, "numeric", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NUMERIC), ARGS(T(FLOAT8)), fn_cast_f8_num) \
    F(1781, "numeric", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NUMERIC), ARGS(T(INT8)), fn_cast_i8_num) \
    F(1782, "numeric", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(NUMERIC), ARGS(T(INT2)), fn_cast_i2_num) \
    F(1287, "oid", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(OID), ARGS(T(INT8)), fn_cast_i8_oid) \
    F(1079, "regclass", NULL, SCALAR, STABLE, NS | CAST | STRICT, 0, T(REGCLASS), ARGS(T(TEXT)), fn_none) \
    F(401, "text", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TEXT), ARGS(T(BPCHAR)), fn_cast_bp_s) \
    F(406, "text", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TEXT), ARGS(T(NAME)), fn_same) \
    F(946, "text", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TEXT), ARGS(T(CHAR)), fn_cast_c_s) \
    F(2971, "text", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TEXT), ARGS(T(BOOL)), fn_cast_bool_s) \
    F(1316, "time", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIME), ARGS(T(TIMESTAMP)), fn_cast_ts_time) \
    F(1419, "time", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIME), ARGS(T(INTERVAL)), fn_cast_iv_time) \
    F(1968, "time", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIME), ARGS(T(TIME), T(INT4)), fn_cast_time_scale) \
    F(2019, "time", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIME), ARGS(T(TIMESTAMPTZ)), fn_cast_ts_time) \
    F(1961, "timestamp", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIMESTAMP), ARGS(T(TIMESTAMP), T(INT4)), fn_cast_ts_scale) \
    F(2024, "timestamp", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIMESTAMP), ARGS(T(DATE)), fn_cast_date_ts) \
    F(2025, "timestamp", NULL, SCALAR, IMMUTABLE, STRICT, 0, T(TIMESTAMP), ARGS(T(DATE), T(TIME)), fn_date_pl_time) \
    F(2027, "timestamp", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIMESTAMP), ARGS(T(TIMESTAMPTZ)), fn_same) \
    F(1174, "timestamptz", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIMESTAMPTZ), ARGS(T(DATE)), fn_cast_date_ts) \
    F(1967, "timestamptz", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TIMESTAMPTZ), T(INT4)), fn_cast_ts_scale) \
    F(2028, "timestamptz", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(TIMESTAMPTZ), ARGS(T(TIMESTAMP)), fn_same) \
    F(669, "varchar", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(VARCHAR), ARGS(T(VARCHAR), T(INT4), T(BOOL)), fn_cast_varchar) \
    F(1401, "varchar", NULL, SCALAR, IMMUTABLE, CAST | STRICT, 0, T(VARCHAR), ARGS(T(NAME)), fn_same) \
    F(12000, "cast_io", NULL, SCALAR, IMMUTABLE, STRICT | CAST, 0, T(ANY), ARGS(T(ANY)), fn_cast_io) \
    F(12001, "cast_array", NULL, SCALAR, IMMUTABLE, STRICT | CAST, 0, T(ANY), ARGS(T(ANY)), fn_cast_array) \
    F(12002, "relabel", NULL, SCALAR, IMMUTABLE, STRICT | CAST, 0, T(ANY), ARGS(T(ANY)), fn_same) \
    F(12003, "int4_oid", NULL, SCALAR, IMMUTABLE, STRICT | CAST, 0, T(OID), ARGS(T(INT4)), fn_cast_i4_oid) \
    F(12004, "oid_int4", NULL, SCALAR, IMMUTABLE, STRICT | CAST, 0, T(INT4), ARGS(T(OID)), fn_cast_oid_i4) \
    F(12005, "regclassout", NULL, SCALAR, STABLE, NS | STRICT | CAST, 0, T(TEXT), ARGS(T(REGCLASS)), fn_none) \
    F(12006, "regnamespaceout", NULL, SCALAR, STABLE, NS | STRICT | CAST, 0, T(TEXT), ARGS(T(REGNAMESPACE)), fn_none) \
    F(12007, "regnamespace", NULL, SCALAR, STABLE, NS | STRICT | CAST, 0, T(REGNAMESPACE), ARGS(T(TEXT)), fn_none) \
    F(12008, "regroleout", NULL, SCALAR, STABLE, NS | STRICT | CAST, 0, T(TEXT), ARGS(T(REGROLE)), fn_none) \
    F(12009, "regrole", NULL, SCALAR, STABLE, NS | STRICT | CAST, 0, T(REGROLE), ARGS(T(TEXT)), fn_none)

#define FUNC_ROWS_WINDOW(F) \
    F(3104, "cume_dist", NULL, WINDOW, IMMUTABLE, 0, 0, T(FLOAT8), ARGS(), fn_none) \
    F(3102, "dense_rank", NULL, WINDOW, IMMUTABLE, 0, 0, T(INT8), ARGS(), fn_none) \
    F(3112, "first_value", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYELEMENT), ARGS(T(ANYELEMENT)), fn_none) \
    F(3106, "lag", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYELEMENT), ARGS(T(ANYELEMENT)), fn_none) \
    F(3107, "lag", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYELEMENT), ARGS(T(ANYELEMENT), T(INT4)), fn_none) \
    F(3108, "lag", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYCOMPATIBLE), ARGS(T(ANYCOMPATIBLE), T(INT4), T(ANYCOMPATIBLE)), fn_none) \
    F(3113, "last_value", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYELEMENT), ARGS(T(ANYELEMENT)), fn_none) \
    F(3109, "lead", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYELEMENT), ARGS(T(ANYELEMENT)), fn_none) \
    F(3110, "lead", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYELEMENT), ARGS(T(ANYELEMENT), T(INT4)), fn_none) \
    F(3111, "lead", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYCOMPATIBLE), ARGS(T(ANYCOMPATIBLE), T(INT4), T(ANYCOMPATIBLE)), fn_none) \
    F(3114, "nth_value", NULL, WINDOW, IMMUTABLE, 0, 0, T(ANYELEMENT), ARGS(T(ANYELEMENT), T(INT4)), fn_none) \
    F(3105, "ntile", NULL, WINDOW, IMMUTABLE, 0, 0, T(INT4), ARGS(T(INT4)), fn_none) \
    F(3103, "percent_rank", NULL, WINDOW, IMMUTABLE, 0, 0, T(FLOAT8), ARGS(), fn_none) \
    F(3101, "rank", NULL, WINDOW, IMMUTABLE, 0, 0, T(INT8), ARGS(), fn_none) \
    F(3100, "row_number", NULL, WINDOW, IMMUTABLE, 0, 0, T(INT8), ARGS(), fn_none)

/* G(id, name, result, argument types, agg_ops) */
#define FUNC_ROWS_AGG(G) \
    G(2335, "array_agg", T(ANYARRAY), ARGS(T(ANYNONARRAY)), agg_array) \
    G(2100, "avg", T(NUMERIC), ARGS(T(INT8)), agg_avg_i) \
    G(2101, "avg", T(NUMERIC), ARGS(T(INT4)), agg_avg_i) \
    G(2102, "avg", T(NUMERIC), ARGS(T(INT2)), agg_avg_i) \
    G(2103, "avg", T(NUMERIC), ARGS(T(NUMERIC)), agg_avg_num) \
    G(2104, "avg", T(FLOAT8), ARGS(T(FLOAT4)), agg_avg_f) \
    G(2105, "avg", T(FLOAT8), ARGS(T(FLOAT8)), agg_avg_f) \
    G(2106, "avg", T(INTERVAL), ARGS(T(INTERVAL)), agg_avg_iv) \
    G(2236, "bit_and", T(INT2), ARGS(T(INT2)), agg_bit_and) \
    G(2238, "bit_and", T(INT4), ARGS(T(INT4)), agg_bit_and) \
    G(2240, "bit_and", T(INT8), ARGS(T(INT8)), agg_bit_and) \
    G(2237, "bit_or", T(INT2), ARGS(T(INT2)), agg_bit_or) \
    G(2239, "bit_or", T(INT4), ARGS(T(INT4)), agg_bit_or) \
    G(2241, "bit_or", T(INT8), ARGS(T(INT8)), agg_bit_or) \
    G(6164, "bit_xor", T(INT2), ARGS(T(INT2)), agg_bit_xor) \
    G(6165, "bit_xor", T(INT4), ARGS(T(INT4)), agg_bit_xor) \
    G(6166, "bit_xor", T(INT8), ARGS(T(INT8)), agg_bit_xor) \
    G(2517, "bool_and", T(BOOL), ARGS(T(BOOL)), agg_bool_and) \
    G(2518, "bool_or", T(BOOL), ARGS(T(BOOL)), agg_bool_or) \
    G(2147, "count", T(INT8), ARGS(T(ANY)), agg_count) \
    G(2803, "count", T(INT8), ARGS(), agg_count_star) \
    G(2519, "every", T(BOOL), ARGS(T(BOOL)), agg_bool_and) \
    G(2050, "max", T(ANYARRAY), ARGS(T(ANYARRAY)), agg_max) \
    G(2115, "max", T(INT8), ARGS(T(INT8)), agg_max) \
    G(2116, "max", T(INT4), ARGS(T(INT4)), agg_max) \
    G(2117, "max", T(INT2), ARGS(T(INT2)), agg_max) \
    G(2118, "max", T(OID), ARGS(T(OID)), agg_max) \
    G(2119, "max", T(FLOAT4), ARGS(T(FLOAT4)), agg_max) \
    G(2120, "max", T(FLOAT8), ARGS(T(FLOAT8)), agg_max) \
    G(2122, "max", T(DATE), ARGS(T(DATE)), agg_max) \
    G(2123, "max", T(TIME), ARGS(T(TIME)), agg_max) \
    G(2126, "max", T(TIMESTAMP), ARGS(T(TIMESTAMP)), agg_max) \
    G(2127, "max", T(TIMESTAMPTZ), ARGS(T(TIMESTAMPTZ)), agg_max) \
    G(2128, "max", T(INTERVAL), ARGS(T(INTERVAL)), agg_max) \
    G(2129, "max", T(TEXT), ARGS(T(TEXT)), agg_max) \
    G(2130, "max", T(NUMERIC), ARGS(T(NUMERIC)), agg_max) \
    G(2244, "max", T(BPCHAR), ARGS(T(BPCHAR)), agg_max) \
    G(2051, "min", T(ANYARRAY), ARGS(T(ANYARRAY)), agg_min) \
    G(2131, "min", T(INT8), ARGS(T(INT8)), agg_min) \
    G(2132, "min", T(INT4), ARGS(T(INT4)), agg_min) \
    G(2133, "min", T(INT2), ARGS(T(INT2)), agg_min) \
    G(2134, "min", T(OID), ARGS(T(OID)), agg_min) \
    G(2135, "min", T(FLOAT4), ARGS(T(FLOAT4)), agg_min) \
    G(2136, "min", T(FLOAT8), ARGS(T(FLOAT8)), agg_min) \
    G(2138, "min", T(DATE), ARGS(T(DATE)), agg_min) \
    G(2139, "min", T(TIME), ARGS(T(TIME)), agg_min) \
    G(2142, "min", T(TIMESTAMP), ARGS(T(TIMESTAMP)), agg_min) \
    G(2143, "min", T(TIMESTAMPTZ), ARGS(T(TIMESTAMPTZ)), agg_min) \
    G(2144, "min", T(INTERVAL), ARGS(T(INTERVAL)), agg_min) \
    G(2145, "min", T(TEXT), ARGS(T(TEXT)), agg_min) \
    G(2146, "min", T(NUMERIC), ARGS(T(NUMERIC)), agg_min) \
    G(2245, "min", T(BPCHAR), ARGS(T(BPCHAR)), agg_min) \
    G(2154, "stddev", T(NUMERIC), ARGS(T(INT8)), agg_stddev_samp_i) \
    G(2155, "stddev", T(NUMERIC), ARGS(T(INT4)), agg_stddev_samp_i) \
    G(2156, "stddev", T(NUMERIC), ARGS(T(INT2)), agg_stddev_samp_i) \
    G(2157, "stddev", T(FLOAT8), ARGS(T(FLOAT4)), agg_stddev_samp_f) \
    G(2158, "stddev", T(FLOAT8), ARGS(T(FLOAT8)), agg_stddev_samp_f) \
    G(2159, "stddev", T(NUMERIC), ARGS(T(NUMERIC)), agg_stddev_samp_num) \
    G(2724, "stddev_pop", T(NUMERIC), ARGS(T(INT8)), agg_stddev_pop_i) \
    G(2725, "stddev_pop", T(NUMERIC), ARGS(T(INT4)), agg_stddev_pop_i) \
    G(2726, "stddev_pop", T(NUMERIC), ARGS(T(INT2)), agg_stddev_pop_i) \
    G(2727, "stddev_pop", T(FLOAT8), ARGS(T(FLOAT4)), agg_stddev_pop_f) \
    G(2728, "stddev_pop", T(FLOAT8), ARGS(T(FLOAT8)), agg_stddev_pop_f) \
    G(2729, "stddev_pop", T(NUMERIC), ARGS(T(NUMERIC)), agg_stddev_pop_num) \
    G(2712, "stddev_samp", T(NUMERIC), ARGS(T(INT8)), agg_stddev_samp_i) \
    G(2713, "stddev_samp", T(NUMERIC), ARGS(T(INT4)), agg_stddev_samp_i) \
    G(2714, "stddev_samp", T(NUMERIC), ARGS(T(INT2)), agg_stddev_samp_i) \
    G(2715, "stddev_samp", T(FLOAT8), ARGS(T(FLOAT4)), agg_stddev_samp_f) \
    G(2716, "stddev_samp", T(FLOAT8), ARGS(T(FLOAT8)), agg_stddev_samp_f) \
    G(2717, "stddev_samp", T(NUMERIC), ARGS(T(NUMERIC)), agg_stddev_samp_num) \
    G(3538, "string_agg", T(TEXT), ARGS(T(TEXT), T(TEXT)), agg_string) \
    G(3545, "string_agg", T(BYTEA), ARGS(T(BYTEA), T(BYTEA)), agg_string) \
    G(2107, "sum", T(NUMERIC), ARGS(T(INT8)), agg_sum_i8) \
    G(2108, "sum", T(INT8), ARGS(T(INT4)), agg_sum_i4) \
    G(2109, "sum", T(INT8), ARGS(T(INT2)), agg_sum_i4) \
    G(2110, "sum", T(FLOAT4), ARGS(T(FLOAT4)), agg_sum_f4) \
    G(2111, "sum", T(FLOAT8), ARGS(T(FLOAT8)), agg_sum_f8) \
    G(2113, "sum", T(INTERVAL), ARGS(T(INTERVAL)), agg_sum_iv) \
    G(2114, "sum", T(NUMERIC), ARGS(T(NUMERIC)), agg_sum_num) \
    G(2718, "var_pop", T(NUMERIC), ARGS(T(INT8)), agg_var_pop_i) \
    G(2719, "var_pop", T(NUMERIC), ARGS(T(INT4)), agg_var_pop_i) \
    G(2720, "var_pop", T(NUMERIC), ARGS(T(INT2)), agg_var_pop_i) \
    G(2721, "var_pop", T(FLOAT8), ARGS(T(FLOAT4)), agg_var_pop_f) \
    G(2722, "var_pop", T(FLOAT8), ARGS(T(FLOAT8)), agg_var_pop_f) \
    G(2723, "var_pop", T(NUMERIC), ARGS(T(NUMERIC)), agg_var_pop_num) \
    G(2641, "var_samp", T(NUMERIC), ARGS(T(INT8)), agg_var_samp_i) \
    G(2642, "var_samp", T(NUMERIC), ARGS(T(INT4)), agg_var_samp_i) \
    G(2643, "var_samp", T(NUMERIC), ARGS(T(INT2)), agg_var_samp_i) \
    G(2644, "var_samp", T(FLOAT8), ARGS(T(FLOAT4)), agg_var_samp_f) \
    G(2645, "var_samp", T(FLOAT8), ARGS(T(FLOAT8)), agg_var_samp_f) \
    G(2646, "var_samp", T(NUMERIC), ARGS(T(NUMERIC)), agg_var_samp_num) \
    G(2148, "variance", T(NUMERIC), ARGS(T(INT8)), agg_var_samp_i) \
    G(2149, "variance", T(NUMERIC), ARGS(T(INT4)), agg_var_samp_i) \
    G(2150, "variance", T(NUMERIC), ARGS(T(INT2)), agg_var_samp_i) \
    G(2151, "variance", T(FLOAT8), ARGS(T(FLOAT4)), agg_var_samp_f) \
    G(2152, "variance", T(FLOAT8), ARGS(T(FLOAT8)), agg_var_samp_f) \
    G(2153, "variance", T(NUMERIC), ARGS(T(NUMERIC)), agg_var_samp_num)

/* clang-format on */
#endif
