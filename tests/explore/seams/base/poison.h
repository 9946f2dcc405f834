/* Nothing is poisoned: a part of the explorer is one unit of several production files, and what
 * follows the first of them may include headers of the system. */
