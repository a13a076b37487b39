/* An intrusive doubly linked list: no allocation, O(1) removal from the middle. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_head_init(struct list *head)
{
    head->next = head->prev = head;
}
static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}
static inline void list_insert_before(struct list *pos, struct list *item)
{
    item->prev = pos->prev;
    item->next = pos;
    pos->prev->next = item;
    pos->prev = item;
}
static inline void list_push_back(struct list *head, struct list *item)
{
    list_insert_before(head, item);
}
static inline void list_push_front(struct list *head, struct list *item)
{
    list_insert_before(head->next, item);
}
/* Leaves the item linked to itself, so that removing twice is harmless. */
static inline void list_unlink(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = item;
}
static inline struct list *list_pop_front(struct list *head)
{
    struct list *item = head->next;
    if (item == head) {
        return NULL;
    }
    list_unlink(item);
    return item;
}
/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (from->next == from) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_head_init(from);
}
#define LIST_ITEM(ptr, type, member) CONTAINER_OF(ptr, type, member)
#define LIST_FOREACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
#define LIST_FOREACH_SAFE(it, tmp, head)                                                           \
    for (struct list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#endif
