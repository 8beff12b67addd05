// ranks: see ranks.h.
#include "tests/boot/ranks.h"

#include <dirent.h>

namespace tutti::test {

int count_entries(const char* directory) {
  DIR* stream = opendir(directory);
  int count = 0;
  while (const dirent* entry = readdir(stream))
    if (entry->d_name[0] != '.') ++count;
  closedir(stream);
  return count;
}

}  // namespace tutti::test
