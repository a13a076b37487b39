/*
 * Which function a call means: PostgreSQL's rules (manual, chapter 10) over the function table.
 *
 * Candidates of the name that take the number of arguments -> an exact match wins -> those that
 * implicit casts can reach -> most exact types -> most preferred types -> the category an untyped
 * literal should have -> the type of the other arguments. One left: found; none: 42883; more:
 * 42725.
 */
#include "funcs.h"

#include "base/check.h"

enum { CANDIDATES_MAX = 256 };

struct candidate {
    const struct func_def *f;
};

type_oid func_arg_type(const struct func_def *f, int i)
{
    return f->args[i < f->nargs ? i : f->nargs - 1];
}

static bool takes_count(const struct func_def *f, int nargs)
{
    if (f->is_variadic) {
        return nargs >= f->nargs && nargs <= FUNC_ARGS_MAX;
    }
    return nargs <= f->nargs && nargs >= f->nargs - f->ndefaults;
}

static bool is_polymorphic(type_oid t)
{
    return t == TYPE_ANY || t == TYPE_ANYELEMENT || t == TYPE_ANYARRAY || t == TYPE_ANYNONARRAY ||
           t == TYPE_ANYCOMPATIBLE || t == TYPE_ANYCOMPATIBLEARRAY ||
           t == TYPE_ANYCOMPATIBLENONARRAY;
}

static char category_of(type_oid t)
{
    const struct type_info *ti = type_find(t);
    return ti != NULL ? ti->category : 'P';
}

static bool is_preferred(type_oid t)
{
    const struct type_info *ti = type_find(t);
    return ti != NULL && ti->is_preferred;
}

static type_oid element_of(type_oid t)
{
    const struct type_info *ti = type_find(t);
    return ti != NULL ? ti->element : 0;
}

static type_oid array_of(type_oid t)
{
    const struct type_info *ti = type_find(t);
    return ti != NULL ? ti->array_oid : 0;
}

/*
 * The real types behind polymorphic arguments. elem: what anyelement stands for; compat: the common
 * type of the anycompatible ones. False when the arguments contradict each other.
 */
static bool poly_resolve(const struct func_def *f, const type_oid *args, int nargs,
                         type_oid *out_elem, type_oid *out_compat)
{
    type_oid elem = 0;
    type_oid compat[FUNC_ARGS_MAX];
    int ncompat = 0;
    bool has_poly = false, has_compat = false, needs_scalar = false;
    for (int i = 0; i < nargs; i++) {
        type_oid want = func_arg_type(f, i), have = args[i];
        switch (want) {
        case TYPE_ANYELEMENT:
        case TYPE_ANYNONARRAY:
            has_poly = true;
            needs_scalar |= want == TYPE_ANYNONARRAY;
            if (have == TYPE_UNKNOWN) {
                break;
            }
            if (elem != 0 && elem != have) {
                return false;
            }
            elem = have;
            break;
        case TYPE_ANYARRAY:
            has_poly = true;
            if (have == TYPE_UNKNOWN) {
                break;
            }
            if (element_of(have) == 0 || (elem != 0 && elem != element_of(have))) {
                return false;
            }
            elem = element_of(have);
            break;
        case TYPE_ANYCOMPATIBLE:
        case TYPE_ANYCOMPATIBLENONARRAY:
            has_compat = true;
            compat[ncompat++] = have;
            break;
        case TYPE_ANYCOMPATIBLEARRAY:
            has_compat = true;
            if (have == TYPE_UNKNOWN) {
                break;
            }
            if (element_of(have) == 0) {
                return false;
            }
            compat[ncompat++] = element_of(have);
            break;
        default:
            break;
        }
    }
    if (has_poly && elem == 0) {
        elem = TYPE_TEXT; /* all literals */
    }
    if (needs_scalar && element_of(elem) != 0) {
        return false;
    }
    *out_elem = elem;
    *out_compat = 0;
    if (has_compat) {
        if (ncompat == 0) {
            *out_compat = TYPE_TEXT;
        } else if (status_consume(type_common(compat, ncompat, "arguments", out_compat))) {
            return false;
        }
    }
    return true;
}

static type_oid poly_type(type_oid declared, type_oid have, type_oid elem, type_oid compat)
{
    switch (declared) {
    case TYPE_ANY:
        return have == TYPE_UNKNOWN ? TYPE_TEXT : have;
    case TYPE_ANYELEMENT:
    case TYPE_ANYNONARRAY:
        return elem;
    case TYPE_ANYARRAY:
        /* A vector is an array as it is: what depends on its subscripts from 0 must see its type.
         */
        return (have == TYPE_INT2VECTOR || have == TYPE_OIDVECTOR) && element_of(have) == elem
                   ? have
                   : array_of(elem);
    case TYPE_ANYCOMPATIBLE:
    case TYPE_ANYCOMPATIBLENONARRAY:
        return compat;
    case TYPE_ANYCOMPATIBLEARRAY:
        return array_of(compat);
    default:
        return declared;
    }
}

/* Whether implicit casts get every argument there. */
static bool is_reachable(const struct func_def *f, const type_oid *args, int nargs)
{
    bool has_poly = false;
    for (int i = 0; i < nargs; i++) {
        type_oid want = func_arg_type(f, i);
        if (args[i] == TYPE_UNKNOWN || want == args[i] || want == TYPE_ANY) {
            has_poly |= is_polymorphic(want);
            continue;
        }
        if (is_polymorphic(want)) {
            has_poly = true;
            continue;
        }
        if (!cast_exists(args[i], want, CAST_IMPLICIT)) {
            return false;
        }
    }
    if (!has_poly) {
        return true;
    }
    type_oid elem, compat;
    if (!poly_resolve(f, args, nargs, &elem, &compat)) {
        return false;
    }
    for (int i = 0; i < nargs; i++) {
        type_oid want = poly_type(func_arg_type(f, i), args[i], elem, compat);
        if (want == 0) {
            return false; /* an array of a type that has none */
        }
        if (args[i] != TYPE_UNKNOWN && want != args[i] &&
            !cast_exists(args[i], want, CAST_IMPLICIT)) {
            return false;
        }
    }
    return true;
}

/* Keeps the candidates that score best. */
static int keep_best(struct candidate *c, int n, const int *score)
{
    int best = 0, kept = 0;
    for (int i = 0; i < n; i++) {
        best = score[i] > best ? score[i] : best;
    }
    for (int i = 0; i < n; i++) {
        if (score[i] == best) {
            c[kept++] = c[i];
        }
    }
    return kept;
}

/* Step "unknown literals": the category each untyped argument should have, then who has it. */
static int keep_by_category(struct candidate *c, int n, const type_oid *args, int nargs)
{
    char category[FUNC_ARGS_MAX];
    bool has_preferred[FUNC_ARGS_MAX];
    for (int i = 0; i < nargs; i++) {
        category[i] = 0;
        has_preferred[i] = false;
        if (args[i] != TYPE_UNKNOWN) {
            continue;
        }
        bool conflict = false;
        for (int k = 0; k < n; k++) {
            type_oid t = func_arg_type(c[k].f, i);
            char cat = category_of(t);
            if (category[i] == 0) {
                category[i] = cat;
                has_preferred[i] = is_preferred(t);
            } else if (cat == category[i]) {
                has_preferred[i] |= is_preferred(t);
            } else if (cat == 'S') {
                category[i] = 'S';
                has_preferred[i] = is_preferred(t);
            } else {
                conflict = true;
            }
        }
        if (conflict && category[i] != 'S') {
            return n; /* no choice to be made */
        }
    }
    struct candidate kept[CANDIDATES_MAX];
    int count = 0;
    for (int k = 0; k < n; k++) {
        bool keep = true;
        for (int i = 0; i < nargs && keep; i++) {
            if (args[i] == TYPE_UNKNOWN) {
                type_oid t = func_arg_type(c[k].f, i);
                keep = category_of(t) == category[i] && (!has_preferred[i] || is_preferred(t));
            }
        }
        if (keep) {
            kept[count++] = c[k];
        }
    }
    if (count == 0) {
        return n;
    }
    memcpy(c, kept, sizeof(kept[0]) * (size_t)count);
    return count;
}

/* Step "all known types alike": the unknown ones are assumed to be of that type too. */
static int keep_by_known_type(struct candidate *c, int n, const type_oid *args, int nargs)
{
    type_oid known = 0;
    for (int i = 0; i < nargs; i++) {
        if (args[i] == TYPE_UNKNOWN) {
            continue;
        }
        if (known != 0 && known != args[i]) {
            return n;
        }
        known = args[i];
    }
    if (known == 0) {
        return n;
    }
    type_oid assumed[FUNC_ARGS_MAX];
    for (int i = 0; i < nargs; i++) {
        assumed[i] = known;
    }
    int hit = -1;
    for (int k = 0; k < n; k++) {
        if (is_reachable(c[k].f, assumed, nargs)) {
            if (hit >= 0) {
                return n;
            }
            hit = k;
        }
    }
    if (hit < 0) {
        return n;
    }
    c[0] = c[hit];
    return 1;
}

/* Narrows reachable candidates; returns how many are left. */
static int select_candidate(struct candidate *c, int n, const type_oid *args, int nargs)
{
    int score[CANDIDATES_MAX];
    bool has_unknown = false;
    for (int i = 0; i < nargs; i++) {
        has_unknown |= args[i] == TYPE_UNKNOWN;
    }
    for (int k = 0; k < n; k++) {
        score[k] = 0;
        for (int i = 0; i < nargs; i++) {
            score[k] += args[i] != TYPE_UNKNOWN && args[i] == func_arg_type(c[k].f, i);
        }
    }
    n = keep_best(c, n, score);
    if (n == 1) {
        return n;
    }
    for (int k = 0; k < n; k++) {
        score[k] = 0;
        for (int i = 0; i < nargs; i++) {
            type_oid t = func_arg_type(c[k].f, i);
            if (args[i] != TYPE_UNKNOWN) {
                score[k] +=
                    args[i] == t || (is_preferred(t) && category_of(t) == category_of(args[i]));
            }
        }
    }
    n = keep_best(c, n, score);
    if (n == 1 || !has_unknown) {
        return n;
    }
    n = keep_by_category(c, n, args, nargs);
    return n == 1 ? n : keep_by_known_type(c, n, args, nargs);
}

static void take(const struct func_def *f, const type_oid *args, int nargs,
                 const struct func_def **out, type_oid *out_args, type_oid *out_result)
{
    type_oid elem = 0, compat = 0;
    bool ok = poly_resolve(f, args, nargs, &elem, &compat);
    ASSERT(ok);
    for (int i = 0; i < nargs; i++) {
        out_args[i] = poly_type(func_arg_type(f, i), args[i], elem, compat);
    }
    *out = f;
    *out_result = f->result == TYPE_ANY ? out_args[0] : poly_type(f->result, 0, elem, compat);
}

bool func_accepts(const struct func_def *f, const type_oid *args, int nargs, type_oid *out_result)
{
    if (!takes_count(f, nargs)) {
        return false;
    }
    type_oid elem, compat;
    if (!poly_resolve(f, args, nargs, &elem, &compat)) {
        return false;
    }
    for (int i = 0; i < nargs; i++) {
        type_oid want = poly_type(func_arg_type(f, i), args[i], elem, compat);
        if (type_storage(args[i]) == 0 || type_storage(want) != type_storage(args[i])) {
            return false;
        }
    }
    *out_result = f->result == TYPE_ANY ? TYPE_ANY : poly_type(f->result, 0, elem, compat);
    return true;
}

static char *signature(struct arena *a, struct slice name, const type_oid *args, int nargs)
{
    struct buf b = {0};
    buf_put_slice(&b, name);
    buf_put_u8(&b, '(');
    for (int i = 0; i < nargs; i++) {
        buf_printf(&b, "%s%s", i > 0 ? ", " : "", type_format(a, args[i], -1));
    }
    buf_put_u8(&b, ')');
    char *s = arena_strndup(a, b.data, b.len);
    buf_deinit(&b);
    return s;
}

static struct status *no_function(struct slice name, const type_oid *args, int nargs, bool many)
{
    struct arena *a = arena_create(0);
    const char *sig = signature(a, name, args, nargs);
    struct status *st;
    if (many) {
        st = status_hint(status_sql(INVALID, "42725", "function %s is not unique", sig),
                         "Could not choose a best candidate function. You might need to add "
                         "explicit type casts.");
    } else {
        st = status_hint(status_sql(INVALID, "42883", "function %s does not exist", sig),
                         "No function matches the given name and argument types. You might need "
                         "to add explicit type casts.");
    }
    arena_destroy(a);
    return st;
}

/* "typename(x)" is a cast when no function fits and the cast goes by text or by nothing. */
static bool resolve_as_cast(struct slice name, type_oid arg, const struct func_def **out,
                            type_oid *out_args, type_oid *out_result)
{
    const struct type_info *ti = type_find_name(name);
    if (ti == NULL) {
        return false;
    }
    uint32_t id = arg == TYPE_UNKNOWN ? FUNC_ID_CAST_IO : cast_find(arg, ti->oid, CAST_EXPLICIT);
    if (id != FUNC_ID_CAST_IO && id != FUNC_ID_RELABEL) {
        return false;
    }
    *out = func_by_id(id);
    out_args[0] = arg == TYPE_UNKNOWN ? TYPE_TEXT : arg;
    *out_result = ti->oid;
    return true;
}

struct status *func_resolve(struct slice name, const type_oid *args, int nargs, bool star,
                            const struct func_def **out, type_oid *out_args, type_oid *out_result)
{
    if (nargs > FUNC_ARGS_MAX) {
        return status_sql(LIMIT, "54023", "cannot pass more than %d arguments to a function",
                          FUNC_ARGS_MAX);
    }
    struct candidate c[CANDIDATES_MAX];
    int n = 0;
    bool exists = false, has_starred = false;
    for (const struct func_def *f = func_first(name, false); f != NULL; f = func_next(f, false)) {
        if (f->id >= FUNC_ID_CAST_IO && f->id <= FUNC_ID_OID_INT4) {
            continue; /* only casts lead there */
        }
        exists = true;
        if (f->class == FUNC_AGGREGATE && f->nargs == 0) {
            has_starred = true;
            if (star) {
                *out = f;
                *out_result = f->result;
                return NULL;
            }
            continue;
        }
        if (!takes_count(f, nargs)) {
            continue;
        }
        bool is_exact = true;
        for (int i = 0; i < nargs && is_exact; i++) {
            is_exact = args[i] == func_arg_type(f, i) && args[i] != TYPE_UNKNOWN;
        }
        if (is_exact) {
            take(f, args, nargs, out, out_args, out_result);
            return NULL;
        }
        if (n < CANDIDATES_MAX) {
            c[n++].f = f;
        }
    }
    if (star && exists) {
        return status_sql(INVALID, "42809",
                          "%.*s(*) specified, but %.*s is not an aggregate function", (int)name.len,
                          (const char *)name.data, (int)name.len, (const char *)name.data);
    }
    if (nargs == 0 && has_starred) {
        return status_sql(INVALID, "42809",
                          "%.*s(*) must be used to call a parameterless aggregate function",
                          (int)name.len, (const char *)name.data);
    }
    if (nargs == 1 && resolve_as_cast(name, args[0], out, out_args, out_result)) {
        return NULL;
    }
    int reachable = 0;
    for (int k = 0; k < n; k++) {
        if (is_reachable(c[k].f, args, nargs)) {
            c[reachable++] = c[k];
        }
    }
    n = reachable > 1 ? select_candidate(c, reachable, args, nargs) : reachable;
    if (n != 1) {
        return no_function(name, args, nargs, n > 1);
    }
    take(c[0].f, args, nargs, out, out_args, out_result);
    return NULL;
}

static struct status *no_operator(struct slice op, type_oid left, type_oid right, bool many)
{
    struct arena *a = arena_create(0);
    const char *l = left != 0 ? type_format(a, left, -1) : "";
    const char *r = type_format(a, right, -1);
    struct status *st;
    if (many) {
        st = status_hint(status_sql(INVALID, "42725", "operator is not unique: %s%s%.*s %s", l,
                                    left != 0 ? " " : "", (int)op.len, (const char *)op.data, r),
                         "Could not choose a best candidate operator. You might need to add "
                         "explicit type casts.");
    } else {
        st = status_hint(status_sql(INVALID, "42883", "operator does not exist: %s%s%.*s %s", l,
                                    left != 0 ? " " : "", (int)op.len, (const char *)op.data, r),
                         "No operator matches the given name and argument types. You might need "
                         "to add explicit type casts.");
    }
    arena_destroy(a);
    return st;
}

struct status *func_resolve_op(struct slice op, type_oid left, type_oid right,
                               const struct func_def **out, type_oid *out_left, type_oid *out_right,
                               type_oid *out_result)
{
    int nargs = left != 0 ? 2 : 1;
    type_oid args[2] = {left != 0 ? left : right, right};
    /* An untyped literal beside a typed one is first taken to be of that type. */
    type_oid exact[2] = {args[0], args[1]};
    if (nargs == 2 && args[0] != args[1]) {
        if (args[0] == TYPE_UNKNOWN) {
            exact[0] = args[1];
        } else if (args[1] == TYPE_UNKNOWN) {
            exact[1] = args[0];
        }
    }
    if (slice_eq(op, slice_str("!="))) {
        op = slice_str("<>");
    }
    struct candidate c[CANDIDATES_MAX];
    int n = 0;
    const struct func_def *hit = NULL;
    for (const struct func_def *f = func_first(op, true); f != NULL && hit == NULL;
         f = func_next(f, true)) {
        if (f->nargs != nargs) {
            continue;
        }
        if (exact[0] == f->args[0] && (nargs == 1 || exact[1] == f->args[1])) {
            hit = f;
        } else if (is_reachable(f, args, nargs) && n < CANDIDATES_MAX) {
            c[n++].f = f;
        }
    }
    if (hit == NULL) {
        n = n > 1 ? select_candidate(c, n, args, nargs) : n;
        if (n != 1) {
            return no_operator(op, left, right, n > 1);
        }
        hit = c[0].f;
    }
    type_oid types[2];
    take(hit, args, nargs, out, types, out_result);
    *out_left = nargs == 2 ? types[0] : 0;
    *out_right = types[nargs - 1];
    return NULL;
}

struct status *type_common(const type_oid *types, int count, const char *what, type_oid *out)
{
    type_oid best = TYPE_UNKNOWN;
    for (int i = 0; i < count; i++) {
        type_oid t = types[i];
        if (t == TYPE_UNKNOWN || t == best) {
            continue;
        }
        if (best == TYPE_UNKNOWN) {
            best = t;
            continue;
        }
        if (category_of(t) != category_of(best)) {
            struct arena *a = arena_create(0);
            struct status *st = status_sql(INVALID, "42804", "%s types %s and %s cannot be matched",
                                           what, type_format(a, best, -1), type_format(a, t, -1));
            arena_destroy(a);
            return st;
        }
        if (!is_preferred(best) && cast_exists(best, t, CAST_IMPLICIT) &&
            !cast_exists(t, best, CAST_IMPLICIT)) {
            best = t;
        }
    }
    *out = best == TYPE_UNKNOWN ? TYPE_TEXT : best;
    return NULL;
}
