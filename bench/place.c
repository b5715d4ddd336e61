/* SPDX-License-Identifier: MIT
 *
 * The programs' door to hwloc.
 *
 * Promises: only cpus that the process may use (its affinity, its cgroup) are used or shown. With hwloc's
 *           HWLOC_SYNTHETIC or HWLOC_XMLFILE everything is as on that machine, except that nothing is bound.
 * Needs:    place_make() on a thread that is not bound yet.
 * Read:     place_make(): the topology is cut down to the allowed cpus, then its cpus are sorted by one of three
 *           orders.
 */
#include "place.h"

#include <ctype.h>
#include <hwloc.h>
#include <stdlib.h>
#include <string.h>

const char *const place_memory_names[PLACE_NR] = {"local", "remote", "interleaved"};

struct cpu {
	hwloc_obj_t pu;
	unsigned node;	  /* its own, in hwloc's order */
	unsigned in_node; /* its number there */
};

struct place {
	hwloc_topology_t topology;
	const char *how;
	enum place_memory memory;
	bool is_bound;
	unsigned nr_cpus;
	struct cpu *cpus; /* in the order of the threads */
};

static hwloc_obj_t node_at(const struct place *place, unsigned node)
{
	return hwloc_get_obj_by_type(place->topology, HWLOC_OBJ_NUMANODE, node);
}

static unsigned nr_nodes(const struct place *place)
{
	return (unsigned)hwloc_get_nbobjs_by_type(place->topology, HWLOC_OBJ_NUMANODE);
}

static bool has_memory(const struct place *place, unsigned node)
{
	return node_at(place, node)->attr->numanode.local_memory > 0;
}

/* Of several nodes at a cpu, the one with the fewest cpus: a node without any shows those of the whole machine. */
static unsigned node_of(const struct place *place, hwloc_obj_t pu)
{
	unsigned best = 0;
	int least = 0;

	for (unsigned node = 0; node < nr_nodes(place); node++) {
		int weight = hwloc_bitmap_weight(node_at(place, node)->cpuset);
		if (hwloc_bitmap_isincluded(pu->cpuset, node_at(place, node)->cpuset) && (!least || weight < least)) {
			best = node;
			least = weight;
		}
	}
	return best;
}

/* ---- orders ---- */

/* The first cpu of each core, then of each cache, ... comes before the second one. */
static int scattered(const void *one, const void *other)
{
	hwloc_obj_t a = ((const struct cpu *)one)->pu, b = ((const struct cpu *)other)->pu;

	for (hwloc_obj_t x = a, y = b; x && y; x = x->parent, y = y->parent)
		if (x->sibling_rank != y->sibling_rank)
			return x->sibling_rank < y->sibling_rank ? -1 : 1;
	return (a->logical_index > b->logical_index) - (a->logical_index < b->logical_index);
}

static int by_node(const void *one, const void *other)
{
	const struct cpu *a = one, *b = other;

	if (a->in_node != b->in_node)
		return a->in_node < b->in_node ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

static int by_number(const void *one, const void *other)
{
	unsigned a = ((const struct cpu *)one)->pu->os_index, b = ((const struct cpu *)other)->pu->os_index;

	return (a > b) - (a < b);
}

static bool read_cpus(struct place *place)
{
	place->nr_cpus = (unsigned)hwloc_get_nbobjs_by_type(place->topology, HWLOC_OBJ_PU);
	place->cpus = calloc(place->nr_cpus, sizeof(place->cpus[0]));
	for (unsigned i = 0; place->cpus && i < place->nr_cpus; i++) {
		struct cpu *cpu = &place->cpus[i];
		cpu->pu = hwloc_get_obj_by_type(place->topology, HWLOC_OBJ_PU, i);
		cpu->node = node_of(place, cpu->pu);
		for (unsigned j = 0; j < i; j++)
			cpu->in_node += place->cpus[j].node == cpu->node;
	}
	return place->cpus;
}

static bool is_list(const char *how)
{
	return isdigit((unsigned char)*how) && !how[strspn(how, "0123456789,-")];
}

bool place_is_known(const char *how)
{
	return !strcmp(how, "compact") || !strcmp(how, "scatter") || !strcmp(how, "node") || !strcmp(how, "none") ||
	       is_list(how);
}

/* Cuts the topology down to what the process may use, and of that to the list of cpus, where `how` is one. */
static const char *narrow(struct place *place)
{
	hwloc_bitmap_t allowed = hwloc_bitmap_alloc(), asked = hwloc_bitmap_alloc();
	const char *why = NULL;

	if (!allowed || !asked || hwloc_get_cpubind(place->topology, allowed, HWLOC_CPUBIND_THREAD))
		why = "the cpus that may be used are not known";
	else if (is_list(place->how) && (hwloc_bitmap_list_sscanf(asked, place->how) || hwloc_bitmap_iszero(asked)))
		why = "that is no list of cpus";
	else if (is_list(place->how) && !hwloc_bitmap_isincluded(asked, allowed))
		why = "not all of those cpus are there and may be used";
	else if (hwloc_topology_restrict(place->topology, is_list(place->how) ? asked : allowed, 0))
		why = "the cpus that may be used are not in the topology";
	hwloc_bitmap_free(allowed);
	hwloc_bitmap_free(asked);
	return why;
}

/* ---- memory ---- */

/* The node with memory that is farthest from that one, or NULL where there is no other. */
static hwloc_obj_t farthest(const struct place *place, unsigned from)
{
	struct hwloc_distances_s *distances = NULL;
	unsigned nr = 1;
	hwloc_uint64_t most = 0;
	hwloc_obj_t best = NULL;

	if (hwloc_distances_get_by_type(place->topology, HWLOC_OBJ_NUMANODE, &nr, &distances,
					HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) ||
	    nr == 0)
		distances = NULL;
	for (unsigned node = 0; node < nr_nodes(place); node++) {
		hwloc_obj_t above = node_at(place, from)->parent;
		hwloc_uint64_t far = 0, back;

		if (node == from || !has_memory(place, node))
			continue;
		/* By latency; or by how little of the machine both share. */
		while (!hwloc_obj_is_in_subtree(place->topology, node_at(place, node), above))
			above = above->parent;
		far = (hwloc_uint64_t)(INT32_MAX - above->depth);
		if (distances)
			(void)hwloc_distances_obj_pair_values(distances, node_at(place, from), node_at(place, node),
							      &far, &back);
		if (!best || far > most) {
			best = node_at(place, node);
			most = far;
		}
	}
	if (distances)
		hwloc_distances_release(place->topology, distances);
	return best;
}

static unsigned nr_with_memory(const struct place *place)
{
	unsigned nr = 0;

	for (unsigned node = 0; node < nr_nodes(place); node++)
		nr += has_memory(place, node);
	return nr;
}

static void bind_memory(const struct place *place, const struct cpu *cpu)
{
	hwloc_bitmap_t all = hwloc_bitmap_alloc();
	hwloc_obj_t far = place->memory == PLACE_REMOTE ? farthest(place, cpu->node) : NULL;

	for (unsigned node = 0; all && node < nr_nodes(place); node++)
		if (has_memory(place, node))
			hwloc_bitmap_set(all, node_at(place, node)->os_index);
	if (all && (far || place->memory == PLACE_INTERLEAVED))
		(void)hwloc_set_membind(place->topology, far ? far->nodeset : all,
					far ? HWLOC_MEMBIND_BIND : HWLOC_MEMBIND_INTERLEAVE,
					HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET);
	hwloc_bitmap_free(all);
}

unsigned place_ranges(const struct place *place, const struct mslot_region_config *config,
		      struct mslot_node_range *ranges, unsigned most)
{
	unsigned nr = nr_with_memory(place), shift = config->frame_shift ? config->frame_shift : 12, at = 0;
	uint64_t each = nr ? config->nr_frames / nr / 64 * 64 : 0;

	if (place->memory != PLACE_LOCAL || nr < 2 || nr > most || each == 0)
		return 0;
	for (unsigned node = 0; node < nr_nodes(place); node++) {
		hwloc_obj_t obj = node_at(place, node);
		uint64_t offset = (at * each) << shift, end = (at + 1 == nr ? config->nr_frames : (at + 1) * each)
							      << shift;

		if (!has_memory(place, node))
			continue;
		ranges[at++] = (struct mslot_node_range){config->base_paddr + offset, obj->os_index};
		if (config->memory)
			(void)hwloc_set_area_membind(place->topology, (char *)config->memory + offset, end - offset,
						     obj->nodeset, HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET);
	}
	return at;
}

/* ---- the calls ---- */

struct place *place_make(const char *how, enum place_memory memory, unsigned nr_threads, const char **why)
{
	struct place *place = calloc(1, sizeof(*place));

	*why = "the topology cannot be read";
	if (how && !place_is_known(how)) {
		*why = "that is no placement";
		free(place);
		return NULL;
	}
	if (!place || hwloc_topology_init(&place->topology)) {
		free(place);
		return NULL;
	}
	place->how = how ? how : "compact";
	place->memory = memory;
	if (hwloc_topology_set_flags(place->topology, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING) ||
	    hwloc_topology_load(place->topology) || (*why = narrow(place)) || (*why = "no memory", !read_cpus(place))) {
		place_free(place);
		return NULL;
	}
	/* More threads than cpus: the kernel moves them better than we do. */
	if (!how && nr_threads > place->nr_cpus)
		place->how = "none";
	if (!strcmp(place->how, "scatter"))
		qsort(place->cpus, place->nr_cpus, sizeof(place->cpus[0]), scattered);
	else if (!strcmp(place->how, "node"))
		qsort(place->cpus, place->nr_cpus, sizeof(place->cpus[0]), by_node);
	else if (is_list(place->how))
		qsort(place->cpus, place->nr_cpus, sizeof(place->cpus[0]), by_number);
	place->is_bound = strcmp(place->how, "none");
	for (unsigned i = 0; i < place->nr_cpus && memory == PLACE_REMOTE; i++)
		if (!farthest(place, place->cpus[i].node) || !place->is_bound) {
			*why = place->is_bound ? "no other node has memory"
					       : "threads without a place have no remote memory";
			place_free(place);
			return NULL;
		}
	return place;
}

void place_free(struct place *place)
{
	if (!place)
		return;
	hwloc_topology_destroy(place->topology);
	free(place->cpus);
	free(place);
}

unsigned place_nr_cpus(const struct place *place)
{
	return place->nr_cpus;
}

void place_thread(const struct place *place, unsigned nth)
{
	const struct cpu *cpu = &place->cpus[nth % place->nr_cpus];

	if (place->is_bound)
		(void)hwloc_set_cpubind(place->topology, cpu->pu->cpuset, HWLOC_CPUBIND_THREAD);
	if (place->memory != PLACE_LOCAL)
		bind_memory(place, cpu);
}

const char *place_name(const struct place *place)
{
	return place->how;
}

/* "[3: 1 5 9 and 17 more]" */
static void print_cpu(const struct place *place, unsigned at, unsigned nr_threads, FILE *to)
{
	unsigned nr = at < nr_threads ? (nr_threads - at - 1) / place->nr_cpus + 1 : 0, shown = nr > 4 ? 3 : nr;

	fprintf(to, "  [%u:", place->cpus[at].pu->os_index);
	for (unsigned i = 0; i < shown; i++)
		fprintf(to, " %u", at + i * place->nr_cpus);
	if (shown < nr)
		fprintf(to, " and %u more", nr - shown);
	fputs("]", to);
}

void place_print(const struct place *place, unsigned nr_threads, FILE *to)
{
	bool has_threads = place->is_bound;

	fprintf(to, "placement %s, memory %s: %u threads on %u cpus%s\n", place->how, place_memory_names[place->memory],
		nr_threads, place->nr_cpus, has_threads ? ", each [cpu: threads]" : ", wherever the kernel puts them");
	for (unsigned node = 0; node < nr_nodes(place); node++) {
		unsigned nr_idle = 0, nr_cpus = 0;

		fprintf(to, "  node %-2u %5.1f GiB", node_at(place, node)->os_index,
			(double)node_at(place, node)->attr->numanode.local_memory / (1 << 30));
		for (unsigned i = 0; i < place->nr_cpus; i++) {
			if (place->cpus[i].node != node)
				continue;
			nr_cpus++;
			if (has_threads && i < nr_threads)
				print_cpu(place, i, nr_threads, to);
			else
				nr_idle++;
		}
		if (nr_cpus == 0)
			fputs("  no cpus to use", to);
		else if (!has_threads)
			fprintf(to, "  %u cpus", nr_cpus);
		else if (nr_idle > 0)
			fprintf(to, "  %u idle", nr_idle);
		fputc('\n', to);
	}
}
