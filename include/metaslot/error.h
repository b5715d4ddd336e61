/* SPDX-License-Identifier: MIT
 *
 * Errors and faults.
 *
 * An error is returned, always, and nothing has changed but where a call says so: a frame is taken, an address is
 * outside, an argument is not valid. A fault is a broken promise of the caller's (a handle dropped twice, a count
 * driven past its limit) that would corrupt the table next. It goes to the fault handler, in release builds too.
 * A NULL handle or region, where a call does not say that it takes one, is neither: undefined, as in libc.
 */
#ifndef METASLOT_ERROR_H
#define METASLOT_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks a symbol that the shared library exports. */
#define MSLOT_API __attribute__((visibility("default")))
/** Marks a call whose result must not be thrown away. */
#define MSLOT_MUST_USE __attribute__((warn_unused_result))

/** What a paddr-returning call gives when it has had no effect. */
#define MSLOT_PADDR_NONE UINT64_MAX

enum mslot_err {
	MSLOT_OK = 0,
	MSLOT_IN_USE, /**< the frame is shared; or: the region still has holders */
	MSLOT_UNUSED, /**< nobody holds the frame */
	MSLOT_BUSY,   /**< being claimed or retired, or the backlog is at its limit; or: it would wait for itself */
	MSLOT_UNIQUE, /**< the frame belongs to one unique handle */
	MSLOT_OUT_OF_BOUND,  /**< the address lies outside the region or in a hole, or the range wraps around */
	MSLOT_NOT_ALIGNED,   /**< the address is no multiple of the frame size */
	MSLOT_NO_MEMORY,     /**< the host, or the region, has none left */
	MSLOT_OVERFLOW,	     /**< a count is at its limit */
	MSLOT_NOT_FORGOTTEN, /**< no forgotten reference is there to restore */
	MSLOT_WRONG_TYPE,    /**< the frame carries metadata of another type */
	MSLOT_INVALID,	     /**< an argument breaks its contract */
};

/**
 * Names an error, without the prefix: "IN_USE" for MSLOT_IN_USE.
 *
 * @err  any value; one that is no error gives "?"
 *
 * Owner:    static storage, never freed.
 * Progress: wait-free.
 * Context:  any thread, registered or not.
 */
MSLOT_API const char *mslot_err_name(enum mslot_err err);

enum mslot_fault_kind {
	MSLOT_FAULT_NONE = 0,
	MSLOT_FAULT_OVER_DROP,	  /**< a reference was given up that no live handle stands for */
	MSLOT_FAULT_DEAD_HANDLE,  /**< a handle was used after it had been given up */
	MSLOT_FAULT_OVERFLOW,	  /**< a count would pass its limit */
	MSLOT_FAULT_UNREGISTERED, /**< the calling thread is not registered (hardened builds) */
	MSLOT_FAULT_NO_SECTION,	  /**< a section was left, or a frame peeked at, outside any (hardened builds) */
};

/** What went wrong, and where. Counts are those found, before the call undid itself. */
struct mslot_fault {
	enum mslot_fault_kind kind;
	const char *what;   /**< the kind in words */
	const char *call;   /**< the public call that saw it */
	uint64_t paddr;	    /**< of the frame, or MSLOT_PADDR_NONE */
	const char *status; /**< "unused", "busy", "shared", "unique", "retired", "hole", "broken"; "none": no frame */
	uint32_t ref_count; /**< references, forgotten ones included */
	uint32_t raw_count; /**< forgotten references */
};

/**
 * Installs the function that is told of every fault.
 *
 * The default prints kind, call, paddr and counts to stderr and aborts. If `fn` returns, the faulting call
 * has had no effect: the counts are as they were, and a handle-returning call gives NULL. Calls that only hardened
 * builds refuse, by UNREGISTERED and NO_SECTION, answer INVALID where they answer an error.
 *
 * @fn   called on the faulting thread, outside any lock of the library: it may make every call that the context of the
 *       faulting one allows, but must not leave by longjmp(); NULL restores the default
 * @ctx  handed to `fn`
 *
 * Order:    a mutex orders it before every later fault.
 * Progress: blocking (a short mutex).
 * Context:  any thread, registered or not.
 */
MSLOT_API void mslot_set_fault_handler(void (*fn)(const struct mslot_fault *fault, void *ctx), void *ctx);

#ifdef __cplusplus
}
#endif
#endif
