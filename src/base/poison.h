/* base/poison.h - included last by every .c file above platform/: naming one of these is a compile
 * error, so every file operation, allocation, thread and clock goes through a seam that tests can
 * replace. (The amalgamation drops this include.) */
#pragma GCC poison malloc calloc realloc free strdup strndup aligned_alloc posix_memalign
#pragma GCC poison pread pwrite preadv pwritev fsync fdatasync ftruncate fallocate posix_fallocate
#pragma GCC poison fopen fdopen freopen fclose fread fwrite fprintf opendir readdir
#pragma GCC poison mmap munmap msync madvise
#pragma GCC poison pthread_create pthread_join pthread_mutex_lock pthread_cond_wait usleep nanosleep
#pragma GCC poison clock_gettime gettimeofday time srand rand random getenv
