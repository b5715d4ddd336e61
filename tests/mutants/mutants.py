# SPDX-License-Identifier: MIT
"""Mistakes that the checks must catch: (what is wrong, file in src, text that is there once or first, text instead)."""

RELAXED = "memory_order_relaxed"

# The order of one atomic operation is weakened.
ORDERS = [
    ("claim does not acquire `recycle`", "table/slot.c",
     "&word, claimed, memory_order_acq_rel,", "&word, claimed, memory_order_release,"),
    ("publish does not release", "table/slot.c",
     "state_publish(claimed), memory_order_release", "state_publish(claimed), " + RELAXED),
    ("get does not acquire `publish`", "table/slot.c",
     "LIVE_ONE, memory_order_acquire)", "LIVE_ONE, " + RELAXED + ")"),
    ("put does not release `last-put`", "table/slot.c",
     "*seen = atomic_fetch_sub_explicit(&slot->state, LIVE_ONE, memory_order_release);",
     "*seen = atomic_fetch_sub_explicit(&slot->state, LIVE_ONE, memory_order_relaxed);"),
    ("the last put does not acquire `last-put`", "table/slot.c",
     "word, next, memory_order_seq_cst,", "word, next, memory_order_relaxed,"),
    ("forget does not release", "table/slot.c",
     "&slot->state, delta, memory_order_release)", "&slot->state, delta, " + RELAXED + ")"),
    ("restore does not acquire `forget`", "table/slot.c",
     "word, next, memory_order_acquire,\n\t\t\t\t\t\t\t      memory_order_relaxed));\n}\n\n"
     "/* ---- unused -> busy",
     "word, next, memory_order_relaxed,\n\t\t\t\t\t\t\t      memory_order_relaxed));\n}\n\n"
     "/* ---- unused -> busy"),
    ("recycle does not release", "table/slot.c",
     "state_recycle(retired), memory_order_release", "state_recycle(retired), " + RELAXED),
    ("share does not release `publish`", "table/slot.c",
     "state_publish(*seen), memory_order_release", "state_publish(*seen), " + RELAXED),
    ("a queue is handed over without release", "reclaim/grace_thread.c",
     "&thread->active, 1 - active, memory_order_release", "&thread->active, 1 - active, " + RELAXED),
]

# The state machine is wrong.
MOVES = [
    ("the generation is skipped", "table/state.h",
     "state_word(STATE_UNUSED, word + GEN_ONE, 0, 0)", "state_word(STATE_UNUSED, word, 0, 0)"),
    ("a failed get is undone", "table/slot.c",
     "\treturn LIKELY(state_is_gettable(*seen));",
     "\tif (state_get(*seen))\n"
     "\t\tatomic_fetch_sub_explicit(&slot->state, LIVE_ONE, memory_order_relaxed);\n"
     "\treturn LIKELY(state_is_gettable(*seen));"),
    ("publish adds instead of storing", "table/slot.c",
     "atomic_store_explicit(&slot->state, state_publish(claimed), memory_order_release);",
     "atomic_fetch_add_explicit(&slot->state, state_publish(claimed) - claimed, memory_order_release);"),
    ("a claim that lost the swap goes on", "table/slot.c",
     "if (err || slot_try_claim(slot, word, *claimed))\n\t\t\treturn err;",
     "if (!err)\n\t\t\tslot_try_claim(slot, word, *claimed);\n\t\treturn err;"),
    ("a put that finds the count resurrected retires all the same", "table/slot.c",
     "verdict.is_last = state_is_dead(old - LIVE_ONE) && retire_dead(slot, old - LIVE_ONE);",
     "verdict.is_last = state_is_dead(old - LIVE_ONE);\n\t\tretire_dead(slot, old - LIVE_ONE);"),
    ("an over-drop is not checked", "table/state.h",
     "return state_of(old) == STATE_SHARED && state_live(old) >= 1 ? MSLOT_FAULT_NONE : MSLOT_FAULT_OVER_DROP;",
     "return MSLOT_FAULT_NONE + (0 & old);"),
    ("a restore takes what was not forgotten", "table/state.h",
     "return state_is_gettable(word) && (int64_t)(word << COUNT_BITS) >= (int64_t)(RAW_ONE << COUNT_BITS);",
     "return state_is_gettable(word);"),
    ("try_unique overlooks forgotten references", "table/state.h",
     "\tif (!state_is_sole(word))\n\t\treturn MSLOT_IN_USE;",
     "\tif (state_live(word) != 1)\n\t\treturn MSLOT_IN_USE;"),
    ("the drop of the last forgotten reference retires nothing", "table/state.h",
     "\tif (state_is_dead(*next))\n\t\t*next = state_word(STATE_RETIRED, word, 0, 0);\n", ""),
    ("a retired frame can be claimed", "table/state.h",
     "static inline enum mslot_err state_claim(uint64_t word, uint64_t *next)\n{\n",
     "static inline enum mslot_err state_claim(uint64_t word, uint64_t *next)\n{\n"
     "\tif (state_of(word) == STATE_RETIRED)\n\t\treturn *next = word, MSLOT_OK;\n"),
    ("the limit of the count is not checked", "table/state.h",
     "return state_live(word) < COUNT_MAX ? MSLOT_OK : MSLOT_OVERFLOW;", "return MSLOT_OK;"),
    ("peek looks at the state once", "table/slot.c",
     "uint64_t again = atomic_load_explicit(&slot->state, memory_order_acquire);", "uint64_t again = word;"),
]

# What ends an incarnation, in its order.
ON_DROP = (
    "\tif (type->on_drop)\n"
    "\t\ttype->on_drop(slot->meta, slot_paddr(region, slot), slot_memory(region, slot));\n")
RECYCLE = (
    "\tunsigned attention = give_back_begin(slot);\n"
    "\tuint64_t retired = slot_word(slot);\n"
    "\t/* Not to be given back, so that hints will not know of it: reset as unused, or a refused forget of a dead\n"
    "\t * handle is in the word. */\n"
    "\tif (UNLIKELY(state_raw(retired) != 0))\n"
    "\t\tregion_disprove_hints(region);\n"
    "\tif (slot_recycle(slot, retired))\n"
    "\t\tgive_back(slot, attention);\n")

# Reclaim loses something, or hurries.
RECLAIM = [
    ("no grace period: deferred types are recycled at once", "reclaim/reclaim.c",
     "retire(struct retire_queue *queue, struct slot *slot)\n{\n",
     "retire(struct retire_queue *queue, struct slot *slot)\n{\n"
     "\tif (queue)\n\t\treturn recycle(slot, slot_region(slot), slot_type(slot));\n"),
    ("the grace period is not waited for", "reclaim/grace.h",
     "#ifndef MSLOT_PLANT_NO_GRACE", "#if 0"),
    ("a retired slot waits for the grace period that runs", "reclaim/reclaim.c",
     "retire_queue_rotate(queue, cookie, completed)", "retire_queue_rotate(queue, cookie - 1, completed)"),
    ("types of a limited region are not counted", "table/region.h",
     "type->on_drop || (!is_immediate && region_is_limited(region))", "type->on_drop"),
    ("what has an on_drop cannot be peeked at", "table/slot.c",
     "(carried & ~TYPE_CAREFUL) == (uintptr_t)type", "carried == (uintptr_t)type"),
    ("a queue of before is retired to", "reclaim/reclaim.c", "if (UNLIKELY(cookie != reclaim_newest.cookie))",
     "if (UNLIKELY(!reclaim_newest.cookie))"),
    ("an adopted slot waits for no grace period", "reclaim/grace_thread.c",
     "retire_queue_rotate(&orphans, completed() + 1,", "retire_queue_rotate(&orphans, completed(),"),
    ("a batch is lost at thread exit", "reclaim/thread.c", "for (unsigned i = 0; i < 2; i++)",
     "for (unsigned i = 0; i < 1; i++)"),
    ("a batch that is appended keeps its old end", "reclaim/retire_queue.h", "\tto->tail = from->tail;\n",
     "\tif (!to->tail)\n\t\tto->tail = from->tail;\n"),
    ("a thread that ends stays in the registry", "reclaim/registry.c", "\t*at = thread->next;\n", ""),
    ("a reader section outlives its thread", "reclaim/read.c",
     "\twhile (grace_in_section())\n\t\tgrace_read_unlock();\n", ""),
    ("on_drop runs after the frame is free", "reclaim/reclaim.c", ON_DROP + RECYCLE, RECYCLE + ON_DROP),
    ("on_drop recurses", "reclaim/reclaim.c", "\tif (immediate.running)\n\t\treturn;\n", ""),
    ("a queue is collected before a grace period", "reclaim/grace_thread.c",
     "&thread->queue[1 - reclaim_active(thread)];\n", "&thread->queue[reclaim_active(thread)];\n"),
    ("a lone frame waits for a second look", "reclaim/grace_thread.c", "size <= FEW_SLOTS || ", ""),
    ("a barrier is answered a cycle early", "reclaim/grace_thread.c",
     "\tif (drain)\n\t\tis_left = cycle(self, true);\n", ""),
    ("what is taken over waits for another grace period", "reclaim/grace_thread.c",
     "\tretire_batch_append(&orphans.elapsed, &all);",
     "\tretire_queue_rotate(&orphans, completed() + 1, completed());\n\tretire_batch_append(&orphans.fresh, &all);"),
    ("work that is left is forgotten", "reclaim/grace_thread.c",
     "return is_left || retire_queue_size(&orphans);", "return retire_queue_size(&orphans);"),
    ("the backlog has no limit", "reclaim/reclaim.h",
     "< reclaim_admits_below(region);", "< INT64_MAX;"),
    ("claims go on to the limit, as if nobody held a frame", "reclaim/reclaim.h",
     "return limit - (reserve < limit / 2 ? reserve : limit / 2);", "return limit + 0 * reserve;"),
    ("what has elapsed waits for the next grace period to begin", "reclaim/reclaim.c",
     "\tdrain_elapsed(self, queue, RECYCLES_PER_DRAIN);",
     "\treclaim_drain(self, queue, RECYCLES_PER_DRAIN);"),
    ("a pause that is urgent is as long as any", "reclaim/pace.c",
     "return URGENT_NS;", "return MOST_NS;"),
    ("few slots wait for as short as many", "reclaim/pace.c",
     ": MOST_NS;", ": LEAST_NS;"),
    ("who asks ends no pause", "reclaim/pace.c",
     "\t\tsem_post(&asked);\n}\n\nvoid pace_hasten", "\t\t(void)0;\n}\n\nvoid pace_hasten"),
    ("who waits ends no pause", "reclaim/grace_thread.c",
     "\tpace_look_again();\n", ""),
    ("who retires many ends no pause", "reclaim/reclaim.c",
     "\t\tpace_crowded();\n", "\t\t(void)0;\n"),
    ("who finds no frame hastens nothing", "alloc/alloc.c",
     "\tif (!slot)\n\t\tpace_hasten();\n", ""),
    ("a refused claim hastens nothing", "handle/handle.h",
     "\t\tpace_hasten();\n", "\t\t(void)0;\n"),
    ("who stays in a drop is not named", "reclaim/stall.c",
     "look.is_for_use = before.use_waited_ns", "look.is_for_use = false"),
    ("who holds up another grace period than was looked at is named", "reclaim/stall.c",
     "look.nr && is_same(&before, &after)", "look.nr || is_same(&before, &after)"),
    ("a stall handler runs on after another was installed", "reclaim/stall.c",
     "\t\tstall_fn(&look->stalls[i], stall_ctx);\n\t}\n\tpthread_mutex_unlock(&stall_lock);\n",
     "\t\tpthread_mutex_unlock(&stall_lock);\n\t\tstall_fn(&look->stalls[i], stall_ctx);\n"
     "\t\tpthread_mutex_lock(&stall_lock);\n\t}\n\tpthread_mutex_unlock(&stall_lock);\n"),
    ("grace periods are hastened for ever", "reclaim/pace.c",
     "atomic_store_explicit(&pace_is_urgent, false,", "atomic_store_explicit(&pace_is_urgent, true,"),
    ("the first retire of a grace period drains nothing", "reclaim/reclaim.c",
     "\tif (!self->recycling)\n\t\treclaim_drain(self, queue, RECYCLES_PER_DRAIN);\n", ""),
    ("the library's thread has the policy of who registers first", "reclaim/thread.c",
     "\t(void)pthread_setschedparam(thread, SCHED_OTHER, &(struct sched_param){0});\n", ""),
    ("the library's thread has the processors of who registers first", "reclaim/thread.c",
     "if (sched_getaffinity(getpid(), sizeof(cpus), &cpus)", "if (sched_getaffinity(0, sizeof(cpus), &cpus)"),
    ("the library's thread is pinned as the main thread", "reclaim/thread.c", "\tCPU_OR(&cpus, &cpus, &own);\n", ""),
    ("a stranger waits for its own section", "reclaim/reclaim.c",
     "\t       grace_in_section();\n", "\t       (self && grace_in_section());\n"),
    ("a stranger's claim does not wait", "reclaim/reclaim.c",
     "if (region->claims_may_wait && !reclaim", "if (region->claims_may_wait && reclaim_self && !reclaim"),
    ("adopting wakes nobody", "reclaim/grace_thread.c",
     "memory_order_relaxed));\n\tgrace_thread_wake();", "memory_order_relaxed));"),
]

# Ranges and addresses.
RANGES = [
    ("a range may end one frame past the region", "table/region.c",
     "return *nr_slots <= region->nr_frames -", "return *nr_slots <= region->nr_frames + 1 -"),
    ("an address within a frame is taken for its start", "table/region.h",
     "return offset >> region->frame_shift | offset << (-region->frame_shift & 63);",
     "return offset >> region->frame_shift;"),
    ("a claim does not touch its grain", "handle/frame.c", "(!word && !region_is_touched(region, index)) || ", ""),
    ("a get does not look at its grain", "handle/frame.c", "region_is_touched(region, index) && reclaim", "reclaim"),
    ("a segment that could not be claimed keeps what it got", "handle/segment.c",
     "\t\t\tclaim_undo(&slots[held]);\n", "\t\t\t;\n"),
    ("a split shares a frame", "handle/segment.c",
     "segment->end = segment->start + at;",
     "segment->end = segment->start + at + (UINT64_C(1) << segment->region->frame_shift);"),
]

# What a thread remembers of free frames.
CACHES = [
    ("a drop finds hints being made, and tells nobody", "table/give_back.h", "\t\t\tregion_disprove_hints(region);", "\t\t\t;"),
    ("a forget of a dead handle hides its frame", "reclaim/reclaim.c", "\t\tregion_disprove_hints(region);", "\t\t;"),
    ("a hole disproves hints", "alloc/hole.c", "\tcache_has_indexes(region);\n\tfirst", "\tfirst"),
    ("a reset that is refused takes the hint", "handle/unique.c",
     "\tunique_retire(unique_slot(unique), false,",
     "\tif (unique)\n\t\tfree_cache_forget_hot(unique_slot(unique));\n\tunique_retire(unique_slot(unique), false,"),
    ("threads look for free frames in one place", "alloc/cache.c", "free_cache.place = place_of(number);", "free_cache.place = 0;"),
    ("rows before a thread's place are not found", "alloc/free_index.c",
     "\t\t\tif (!from)\n\t\t\t\treturn 0;\n\t\t\tat = from = 0;\n\t\t\tcontinue;\n", "\t\t\treturn 0;\n"),
    ("a row keeps its hot frame when it becomes another", "alloc/cache.c",
     "\tatomic_store_explicit(&row->hot, NULL, memory_order_relaxed);\n", ""),
    ("who gives a row back keeps its hot frame", "alloc/cache.c",
     "mask = row_frames(row, page);", "mask = row_load(&row->mask);"),
    ("a row with nothing but its hot frame is not given back", "alloc/cache.c",
     "if (!row_is_empty(row)) {", "if (row_load(&row->mask)) {"),
    ("a row of a region that is gone hides its successor's frames", "alloc/cache.c",
     "if (region && region_has_hints(region))", "if (region && row_load(&row->region_id) == region->id)"),
    ("who starves does not see what others remember of a region before", "alloc/cache.c",
     "row_is_empty(from) ? 0", "row_is_empty(from) || row_load(&from->region_id) != region->id ? 0"),
    ("who may not remember anything does", "alloc/find.c", "\tcache_end_call();\n", ""),
    ("who may wait waits once", "alloc/find.c",
     "*err = mslot_barrier(region);\n\t\tif (*err)\n", "*err = mslot_barrier(region);\n\t\twaits = false;\n\t\tif (*err)\n"),
    ("a hole forgets how often it was marked in vain", "alloc/hole.c", "grain_moved(byte, GRAIN_HOLE)", "GRAIN_HOLE"),
    ("what was marked in vain is as if it had not been", "alloc/hole.c", "grain_moved(byte + 1, GRAIN_UNTOUCHED)", "grain_moved(byte, GRAIN_UNTOUCHED)"),
    ("slots of a grain are written before it is touched", "table/region.c",
     "\t\t/* [release:attach] others who claim here",
     "\t\tif (byte & GRAIN_MOST_IN_VAIN)\n\t\t\tatomic_store(&region->slots[index].state, GEN_ONE);\n"
     "\t\t/* [release:attach] others who claim here"),
    ("the generation of a grain is lost at its first claim", "table/region.c",
     "grain_moved(byte, GRAIN_TOUCHED)", "GRAIN_TOUCHED"),
    ("an on_drop may wait where a frame is repurposed", "handle/unique.c", "\t\treclaim_in_on_drop = true;\n", ""),
    ("a frame becomes deferred at the limit", "handle/unique.c", "if (type_is_immediate(slot_type(slot)))", "if (false)"),
    ("hints of a hole are given back", "alloc/find.c",
     "state_of(region_word(region, at)) == STATE_UNUSED", "state_of(slot_word(&region->slots[at])) == STATE_UNUSED"),
    ("a region is in use while the library alone holds frames", "reclaim/reclaim.c",
     "(err != MSLOT_IN_USE || nr_held >= before)", "true"),
    ("a region begins with the debts of the one before", "table/region.c",
     "atomic_store_explicit(region_backlog(region), 0, memory_order_relaxed);", ";"),
    ("retires of a region that is gone are the next one's", "reclaim/reclaim.c",
     "region && region->id == self->counted_id", "region"),
    ("what an on_drop drops is recycled in no section", "reclaim/reclaim.c",
     "\tstruct reclaim_thread *self = reclaim_self;\n\n\tslot->link", "\tstruct reclaim_thread *self = NULL;\n\n\tslot->link"),
    ("a refused drop gives back to whoever has the frame now", "table/slot.c",
     "if (state_of(word) != state_of(old) || state_generation(word) != state_generation(old))", "if (false)"),
    ("a wait begins with the last grace period", "reclaim/grace_thread.c", "\t\tnote_begun(0);\n", ""),
    ("who is cancelled takes the lock along", "reclaim/grace_thread.c",
     "pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);", "cancel_state = PTHREAD_CANCEL_ENABLE;"),
    ("a refused forget of a unique frame stays", "table/slot.c",
     "if (state_of(word) != state_of(old) ||", "if (state_of(word) != STATE_SHARED ||"),
    ("a pass that has found goes on to the end", "alloc/find.c", "return pass->has_found && pass->nr_seen >= pass->nr_enough;", "return false;"),
    ("a pass that has found stops there", "alloc/find.c", "return pass->has_found && pass->nr_seen >= pass->nr_enough;", "return pass->has_found;"),
    ("a fault is lost by a cancel", "base/check.c", "\tpthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &(int){0});\n", ""),
    ("who waits does so for nothing", "reclaim/reclaim.c", "return sums.retired != sums.recycled;", "return true;"),
    ("a small region counts for ever", "table/scarce.c", "\tif (limit > half)\n\t\treturn half;\n", ""),
    ("who waits counts, too", "alloc/find.c", "!waits && is_of_any_frame(request) ? scarce_begin", "is_of_any_frame(request) ? scarce_begin"),
    ("who waits looks only at what is retired already", "alloc/find.c", "if (!slot && waits && !has_waited && reclaim_may_bring())", "if (false)"),
    ("a short run begins in any row", "alloc/free_index.c", "next = round_up_row(index, row, align);", "next = row;"),
    ("a count of unused frames runs over", "table/scarce.c", " || (word & SCARCE_COUNT) == SCARCE_COUNT", ""),
    ("what was freed elsewhere is allocated from without its hot frame", "alloc/cache.c",
     "row_set(own, region, row_page(freed), row_frames(freed, row_page(freed)));",
     "row_set(own, region, row_page(freed), row_load(&freed->mask));"),
    ("a frame that is reset as unused stays the hot one", "handle/unique.c",
     "free_cache_forget_hot(slot);", "(void)0;"),
    ("a frame that is allocated as unique stays the hot one", "alloc/find.c",
     "\t\t\tcache_drop_first(slot);", "\t\t\tfound ? cache_take_first(slot) : cache_drop_first(slot);"),
    ("a row with nothing free promises room", "alloc/cache.c",
     "\tif (mask)\n\t\tindex_give(", "\tindex_give("),
    ("a hot frame that is in use is given back", "alloc/cache.c",
     " && state_of(slot_word_acquire(hot)) == STATE_UNUSED", ""),
    ("another frame takes the place of the hot one", "table/give_back.h",
     "if (!atomic_load_explicit(&row->hot, memory_order_relaxed)) {", "if (true) {"),
    ("a frame that is freed is the hot one already", "table/give_back.h",
     "memory_order_relaxed) == slot))", "memory_order_relaxed) != NULL))"),
]

# Ranges of frames that lie on one NUMA node.
NODES = [
    ("frames of one node are taken from anywhere", "table/nodes.c",
     "if (walk->node == NODE_ANY || walk->node == range->node)", "if (true)"),
    ("\"none\" of one node is asked of all slots", "alloc/find.c",
     "if (request->node == NODE_ANY || request->node == region->ranges[i].node)", "if (true)"),
    ("the farthest node is the first to fall back on", "base/numa.c",
     "return latency(from, a) < latency(from, b);", "return latency(from, a) > latency(from, b);"),
    ("who is cancelled reading the topology takes the lock along", "base/numa.c",
     "pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);", "cancel_state = PTHREAD_CANCEL_ENABLE;"),
    ("all fall back on the lowest node", "base/numa.c",
     "return around_a < around_b;", "return a < b;"),
    ("a node without memory may have frames", "base/numa.c",
     "return has_memory(node) ? node : NUMA_NONE;", "return node;"),
    ("what was freed far away is handed out near", "alloc/cache.c",
     "region->nr_ranges > 1 && node == NODE_ANY ? nearest_node(region) : node", "NODE_ANY"),
    ("runs are aligned within their range", "alloc/free_index.c",
     "return ((row + origin + step - 1) & ~(step - 1)) - origin;", "return (row + step - 1) & ~(step - 1);"),
    ("all slots are bound where the first ones are", "table/nodes.c",
     "numa_bind(region->slots + range->first,", "numa_bind(region->slots,"),
]

# Those that no check can see, and why.
EXPLAINED = {
    "an adopted slot waits for no grace period":
        "no change: adopted slots are looked at only after the grace period that follows their adoption, whatever "
        "their cookie",
}

MUTANTS = ORDERS + MOVES + RECLAIM + RANGES + CACHES + NODES
