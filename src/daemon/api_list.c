/* SPDX-License-Identifier: Apache-2.0
 * Sets as JSON: those of a list, or one. Which ones is settled at once; what is long is then written in pieces, each in its caller's turn
 * (fair.h), so that 10 000 vGPUs keep nobody waiting. A set that changes while it is written is begun anew, one that goes is left out. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/fair.h"
#include "daemon/rate.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE      512u  /* vGPUs: a quarter of a millisecond */
#define PIECE_FINE 20u   /* the same while others ask, too: some 20 us, so that each of them waits for no more than that */
#define PAGE_VGPUS 128u  /* a tenth of a millisecond */
#define PAGE_LOOKS 2048u /* sets of others, of whom nothing is told, included */
#define AGAIN_MAX  8u    /* a set that changes all the time is then written at once */

struct fgd_listing {
        struct fgd_manager *manager;
        bool is_list, has_more; /* a list; there is more than it tells */
        int64_t last;           /* where it ends */
        int64_t *id;            /* of the sets, ascending */
        struct fgd_set *next;   /* no later than the next of them, as long as `removed` is how many sets were; NULL: not known */
        uint64_t removed;
        uint32_t count, room, at, told;
        uint64_t vgpus;
        uint32_t index, changes, again; /* the next vGPU of the set at hand; how often the set had changed when it was begun; begun anew */
        bool is_begun;
        size_t begin; /* of its text */
        struct fgd_text text;
        struct fgd_task task;
        struct fgd_later later;
        uint64_t caller;
        int64_t user;
        TAILQ_ENTRY(fgd_listing) order;
};

static void clear(struct fgd_listing *l)
{
        free(l->id);
        fgd_text_clear(&l->text);
}

static void remember(struct fgd_listing *l, struct fgd_set *set)
{
        l->next = set;
        l->removed = l->manager->sets_removed;
}

static int choose(struct fgd_listing *l, struct fgd_set *set)
{
        if (l->count == l->room) {
                uint32_t room = l->room ? 2 * l->room : 16;
                int64_t *id = realloc(l->id, room * sizeof *id);
                if (!id)
                        return -ENOMEM;
                l->id = id;
                l->room = room;
        }
        if (!l->count)
                remember(l, set);
        l->id[l->count++] = set->id;
        l->vgpus += set->count;
        return 0;
}

/* The first that may be the next one told. From the first of thousands of sets it is a cache line each: a tenth of a millisecond. */
static struct fgd_set *look_from(const struct fgd_listing *l)
{
        return l->next && l->removed == l->manager->sets_removed ? l->next : TAILQ_FIRST(&l->manager->sets);
}

/* Some more of the set at hand. Returns true when it is told. */
static bool write_some(struct fgd_listing *l, struct fgd_set *set, uint32_t *left)
{
        if (l->is_begun && l->changes != set->changes) {
                l->text.size = l->begin;
                l->is_begun = false;
                l->again++;
        }
        if (!l->is_begun) {
                l->begin = l->text.size;
                l->index = 0;
                l->changes = set->changes;
                fgd_text_add(&l->text, l->told ? ", " : "");
                fgd_write_set_begin(set, "", &l->text);
                l->is_begun = true;
        }
        uint32_t end = l->again >= AGAIN_MAX || set->count - l->index <= *left ? set->count : l->index + *left;
        *left -= end - l->index < *left ? end - l->index : *left;
        for (; l->index < end; l->index++) {
                fgd_text_add(&l->text, l->index ? ", " : "");
                fgd_write_vgpu(&set->vgpu[l->index], &l->text);
        }
        if (l->index < set->count)
                return false;
        fgd_text_add(&l->text, "]}");
        l->told++;
        return true;
}

static uint32_t piece(const struct fgd_listing *l)
{
        return fgd_fair_is_alone(l->manager->fair, fg_now()) ? PIECE : PIECE_FINE;
}

/* So many more vGPUs, no fewer than one. Returns true when all is told. */
static bool write_piece(struct fgd_listing *l, uint32_t left)
{
        struct fgd_set *set = look_from(l);
        while (l->at < l->count && left) {
                while (set && set->id < l->id[l->at])
                        set = TAILQ_NEXT(set, order);
                bool is_there = set && set->id == l->id[l->at];
                if (is_there)
                        remember(l, set);
                else if (l->is_begun)
                        l->text.size = l->begin;
                if (is_there && !write_some(l, set, &left))
                        return false;
                l->is_begun = false;
                l->at++;
        }
        return l->at == l->count;
}

static void finish(struct fgd_listing *l)
{
        if (l->is_list) {
                fgd_page_end(&l->text, l->last, l->has_more);
                fgd_text_number(&l->text, "now_ns", fg_now());
                fgd_text_add(&l->text, "}");
        }
        fgd_text_add(&l->text, "\n");
}

static void tell(struct fgd_listing *l)
{
        struct fgd_problem problem = {0};
        unsigned status = 200;
        TAILQ_REMOVE(&l->manager->listings, l, order);
        finish(l);
        if (!l->is_list && !l->told) {
                status = 404;
                fgd_text_clear(&l->text);
                fgd_problem_set(&problem, FGD_NOT_FOUND, "it was deleted while it was read; \"fastgpu list\" shows what there is");
                fgd_problem_write(&problem, &l->text);
        }
        if (l->text.failed)
                fgd_text_clear(&l->text);
        l->later.done(l->later.user, l->text.data ? status : 500, l->text.data);
        free(l->id);
        free(l);
}

static void on_turn(struct fgd_task *task)
{
        struct fgd_listing *l = (struct fgd_listing *)((char *)task - offsetof(struct fgd_listing, task));
        uint64_t begin = fg_now();
        bool is_told = write_piece(l, piece(l));
        fgd_rate_spent(l->manager, l->user, fg_now() - begin);
        if (is_told || !fgd_fair_rest(l->manager, l->caller, task))
                tell(l);
}

void fgd_listings_free(struct fgd_manager *m)
{
        struct fgd_listing *l;
        while ((l = TAILQ_FIRST(&m->listings))) {
                TAILQ_REMOVE(&m->listings, l, order);
                fgd_fair_remove(&l->task);
                clear(l);
                free(l);
        }
}

/* In pieces, what is long; 1: later. */
static int write_long(struct fgd_call *call, struct fgd_listing *l)
{
        struct fgd_listing *copy = malloc(sizeof *copy);
        if (!copy)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        l->later = *call->request->later;
        l->task.run = on_turn;
        l->caller = call->request->caller;
        l->user = call->who.user ? call->who.user->id : 0;
        *copy = *l;
        if (!fgd_fair_later(l->manager, l->caller, &copy->task)) {
                free(copy);
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        }
        TAILQ_INSERT_TAIL(&l->manager->listings, copy, order);
        l->id = NULL; /* they are the copy's */
        l->text = (struct fgd_text){0};
        return 1;
}

static int write_all(struct fgd_call *call, struct fgd_listing *l)
{
        if (call->request->later && l->vgpus > piece(l))
                return write_long(call, l);
        while (!write_piece(l, PIECE))
                ;
        finish(l);
        call->text = l->text;
        l->text = (struct fgd_text){0};
        return 0;
}

/* Whose sets are listed: all that he may see, or one project's. */
bool fgd_call_lists(const struct fgd_call *call, const struct fgd_project *only, const struct fgd_set *set)
{
        if (only)
                return set->project == only;
        return fgd_role_in(call->manager, &call->who, set->project) >= FGD_ROLE_VIEWER;
}

/* A user's page ends when it is long, whatever its limit. The operator without one is told all, as there was none before there were pages. */
static bool is_full(const struct fgd_call *call, const struct fgd_page *page, const struct fgd_listing *l)
{
        return (page->limit && l->count >= page->limit) || (call->who.user && l->vgpus >= PAGE_VGPUS);
}

static int choose_page(struct fgd_call *call, const struct fgd_project *only, const struct fgd_page *page, struct fgd_listing *l)
{
        struct fgd_set *set;
        uint32_t looks = 0;
        l->last = page->after;
        TAILQ_FOREACH(set, &call->manager->sets, order) {
                if (set->id <= page->after)
                        continue;
                /* There is more only if he may see it; who has looked for long is not told whether there is. */
                bool is_told = fgd_call_lists(call, only, set), is_long = call->who.user && looks >= PAGE_LOOKS;
                l->has_more = is_long || (is_told && is_full(call, page, l));
                if (l->has_more)
                        break;
                l->last = set->id;
                looks++;
                if (is_told && choose(l, set) < 0)
                        return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        }
        return 0;
}

int fgd_handle_list(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}, {"limit"}, {"after"}};
        struct fgd_project *only = NULL;
        struct fgd_page page;
        FG_CLEANUP(clear) struct fgd_listing l = {.manager = call->manager, .is_list = true};
        if (fgd_query_read(call, query, 3) < 0 || fgd_query_page(call, &query[1], &query[2], 0, &page) < 0 ||
            (query[0].value[0] && fgd_call_project(call, query[0].value, &only) < 0) || choose_page(call, only, &page, &l) < 0)
                return -1;
        fgd_text_add(&l.text, "{\"sets\": [");
        return write_all(call, &l);
}

int fgd_handle_inspect(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}};
        struct fgd_set *set;
        int64_t index;
        FG_CLEANUP(clear) struct fgd_listing l = {.manager = call->manager};
        if (fgd_query_read(call, query, 1) < 0 || fgd_call_path_target(call, query[0].value, &set, &index) < 0)
                return -1;
        if (choose(&l, set) < 0)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        return write_all(call, &l);
}
