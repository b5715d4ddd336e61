/* SPDX-License-Identifier: MIT
 *
 * Stands in for the system's header: the engine's semaphores.
 */
#ifndef MODEL_SEMAPHORE_H
#define MODEL_SEMAPHORE_H

typedef struct {
	long unused;
} sem_t;

int model_sem_init(void *sem, unsigned value);
int model_sem_post(void *sem);
int model_sem_wait(void *sem);
int model_sem_trywait(void *sem);

#define sem_init(sem, shared, value) model_sem_init(sem, value)
#define sem_post(sem) model_sem_post(sem)
#define sem_wait(sem) model_sem_wait(sem)
#define sem_trywait(sem) model_sem_trywait(sem)

#endif
