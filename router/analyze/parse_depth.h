/* How deep a statement nests, found without parsing it. */
#ifndef ROUTER_ANALYZE_PARSE_DEPTH_H
#define ROUTER_ANALYZE_PARSE_DEPTH_H

#include "base/slice.h"

#include <stdbool.h>

/* Upper bounds of the nesting of parentheses, brackets and CASEs, and of chains of operators, set
 * operations and joins, in the text. Knows strings, quoted names, dollar quotes and comments. Stops
 * early, above either limit. Runs of operator characters that would keep the lexer busy for long
 * count as a chain beyond the limit. */
void parse_depth(struct slice sql, int nesting_max, int chain_max, int *out_nesting,
                 int *out_chain);

#endif
