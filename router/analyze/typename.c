/* TypeName nodes to type oids and typmods, and small helpers over name lists. */
#include "analyze.h"

const char *node_string(const PgQuery__Node *n)
{
    return n != NULL && n->node_case == PG_QUERY__NODE__NODE_STRING ? n->string->sval : NULL;
}

const char *name_last(PgQuery__Node *const *names, size_t n)
{
    const char *s = n > 0 ? node_string(names[n - 1]) : NULL;
    return s != NULL ? s : "";
}

static struct status *unknown_type(struct analyzer *z, const PgQuery__TypeName *t)
{
    if (t->n_names == 2) {
        return at(z,
                  status_sql(NOT_FOUND, "42704", "type \"%s.%s\" does not exist",
                             node_string(t->names[0]), name_last(t->names, t->n_names)),
                  t->location);
    }
    return at(z,
              status_sql(NOT_FOUND, "42704", "type \"%s\" does not exist",
                         name_last(t->names, t->n_names)),
              t->location);
}

static struct status *typmods(struct analyzer *z, const PgQuery__TypeName *t, type_oid type,
                              int32_t *out)
{
    *out = -1;
    if (t->n_typmods == 0) {
        return NULL;
    }
    int32_t mods[8];
    if (t->n_typmods > 8) {
        return at(z, status_sql(INVALID, "22023", "too many type modifiers"), t->location);
    }
    for (size_t i = 0; i < t->n_typmods; i++) {
        const PgQuery__Node *n = t->typmods[i];
        if (n->node_case != PG_QUERY__NODE__NODE_A_CONST ||
            n->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL) {
            return at(z,
                      status_sql(INVALID, "42601",
                                 "type modifiers must be simple constants or identifiers"),
                      t->location);
        }
        mods[i] = n->a_const->ival->ival;
    }
    return at(z, type_typmod(type, mods, (int)t->n_typmods, out), t->location);
}

struct status *typename_resolve(struct analyzer *z, const PgQuery__TypeName *t, type_oid *out_type,
                                int32_t *out_typmod)
{
    if (t->pct_type || t->setof) {
        return unsupported(z, t->location, "%s", t->setof ? "SETOF types" : "%TYPE references");
    }
    if (t->n_names == 0) {
        const struct type_info *ti = type_find(t->type_oid);
        if (ti == NULL) {
            return unknown_type(z, t);
        }
        *out_type = ti->oid;
        *out_typmod = t->typemod > 0 ? t->typemod : -1;
        return NULL;
    }
    const char *name = name_last(t->names, t->n_names);
    if (t->n_names == 2 && strcmp(node_string(t->names[0]), "pg_catalog") != 0) {
        return unknown_type(z, t);
    }
    const struct type_info *ti = type_find_name(slice_str(name));
    if (ti == NULL) {
        return unknown_type(z, t);
    }
    type_oid type = ti->oid;
    TRY(typmods(z, t, type, out_typmod));
    if (t->n_array_bounds > 0) {
        if (t->n_array_bounds > 1) {
            return unsupported(z, t->location, "arrays of more than one dimension");
        }
        if (ti->array_oid == 0) {
            return unsupported(z, t->location, "arrays of type %s", ti->name);
        }
        type = ti->array_oid;
    }
    *out_type = type;
    return NULL;
}
