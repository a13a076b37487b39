# The SQL front half: parse and analyze, plan, execute.
list(APPEND ROUTER_SOURCES
  analyze/parse.c
  analyze/parse_depth.c
  analyze/typename.c
  analyze/scope.c
  analyze/expr.c
  analyze/expr_call.c
  analyze/from.c
  analyze/select.c
  analyze/dml.c
  analyze/table.c
  analyze/query.c
  plan/plan.c
  plan/copy.c
  plan/optimize.c
  plan/join.c
  plan/access.c
  plan/physical.c
  plan/explain.c
  exec/exec.c
  exec/nodes.c
  exec/scan.c
  exec/subplan.c
  exec/write.c
  exec/dml.c
  exec/foreign.c
  exec/session_call.c)
