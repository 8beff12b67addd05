/* unload: a program that loads the library, makes an id, and unloads the library while its threads run. Argument: the library. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include "include/tutti/tutti.h"

int main(int argc, char** argv) {
  if (argc != 2) return 3;
  for (int round = 0; round < 3; ++round) {
    void* const library = dlopen(argv[1], RTLD_NOW);
    if (!library) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    tuttiResult_t (*make_id)(tuttiUniqueId*);
    *(void**)&make_id = dlsym(library, "tuttiGetUniqueId");
    tuttiUniqueId id;
    if (make_id(&id) != tuttiSuccess) return 2;
    dlclose(library);
    usleep(300000); /* meanwhile the rendezvous of the id runs and ends */
  }
  return 0;
}
