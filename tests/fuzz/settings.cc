// settings: a file that TUTTI_CONF_FILE names, and the checks that a communicator makes on its values.
#include "lib/base/settings.h"

#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/comm/comm.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int file = memfd_create("settings", MFD_CLOEXEC);
  demand(file >= 0 && write(file, data, size) == static_cast<ssize_t>(size), "the file can be written");
  setenv("TUTTI_CONF_FILE", ("/proc/self/fd/" + std::to_string(file)).c_str(), 1);
  const Result<Settings> settings = Settings::load();
  close(file);
  set_log_level(LogLevel::None);
  if (!settings.ok()) return 0;
  for (const SettingRow& row : setting_rows()) {
    (void)settings.value().text(row.setting);
    (void)settings.value().number(row.setting);
  }
  (void)Comm::check(settings.value());
  return 0;
}
