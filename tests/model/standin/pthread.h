/* SPDX-License-Identifier: MIT
 *
 * Stands in for the system's header: mutexes, conditions and keys of the engine, with their order and no more.
 */
#ifndef MODEL_PTHREAD_H
#define MODEL_PTHREAD_H

#include <sched.h>
#include <signal.h>
#include <sys/types.h>

#define PTHREAD_MUTEX_INITIALIZER                                                                                      \
	{                                                                                                              \
		{                                                                                                      \
			0                                                                                              \
		}                                                                                                      \
	}
#define PTHREAD_COND_INITIALIZER                                                                                       \
	{                                                                                                              \
		{                                                                                                      \
			{                                                                                              \
				0                                                                                      \
			}                                                                                              \
		}                                                                                                      \
	}
#define PTHREAD_CREATE_DETACHED 1

int model_mutex_lock(void *mutex);
int model_mutex_trylock(void *mutex);
int model_mutex_unlock(void *mutex);
int model_cond_wait(void *cond, void *mutex);
int model_cond_broadcast(void *cond);
int model_thread_create(void *(*fn)(void *), void *arg);
int model_key_create(void (*destroy)(void *));
int model_set_specific(const void *value);

#define pthread_mutex_lock(mutex) model_mutex_lock(mutex)
#define pthread_mutex_trylock(mutex) model_mutex_trylock(mutex)
#define pthread_mutex_unlock(mutex) model_mutex_unlock(mutex)
#define pthread_cond_wait(cond, mutex) model_cond_wait(cond, mutex)
#define pthread_cond_broadcast(cond) model_cond_broadcast(cond)
#define pthread_cond_signal(cond) model_nothing()
#define pthread_create(thread, attr, fn, arg) ((void)(thread), (void)(attr), model_thread_create(fn, arg))
#define pthread_key_create(key, destroy) ((void)(key), model_key_create(destroy))
#define pthread_setspecific(key, value) ((void)(key), model_set_specific(value))
#define pthread_attr_init(attr) ((void)(attr), 0)
#define pthread_attr_setdetachstate(attr, state) ((void)(state))
#define pthread_attr_destroy(attr) ((void)(attr))
#define pthread_setschedparam(thread, policy, param) ((void)(thread))
#define sched_getaffinity(pid, bytes, cpus) (-1)
#define pthread_setaffinity_np(thread, bytes, cpus) ((void)(thread))
#define pthread_sigmask(how, set, old) ((void)(set), (void)(old))
#define PTHREAD_CANCEL_DISABLE 0
#define pthread_setcancelstate(state, old) ((void)(state), (void)(old))

#endif
