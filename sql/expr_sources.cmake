# The expression half of sql/: trees, evaluation, functions, aggregates, operators, fragments.
list(APPEND SQL_SOURCES
  agg.c
  cast.c
  expr.c
  expr_eval.c
  fragment.c
  func_resolve.c
  func_table.c
  funcs_array.c
  funcs_bytes.c
  funcs_compare.c
  funcs_datetime.c
  funcs_format.c
  funcs_math.c
  funcs_misc.c
  funcs_numfmt.c
  funcs_regex.c
  funcs_text.c
  operator.c
  operator_agg.c
  operator_join.c
  operator_rows.c
  operator_sort.c
)
