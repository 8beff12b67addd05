// module: see module.h.
#include "lib/transport/module.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace tutti {
namespace {

// The directory of the file that holds this code: the library, or a program that it is linked into.
std::string own_directory() {
  Dl_info info{};
  static const char here = 0;
  // A program that was found by PATH is known by its bare name.
  const bool named = dladdr(&here, &info) != 0 && info.dli_fname && std::strchr(info.dli_fname, '/');
  char path[PATH_MAX];
  if (!realpath(named ? info.dli_fname : "/proc/self/exe", path)) return "/nonexistent";
  *std::strrchr(path, '/') = '\0';
  return path;
}

// Code is only taken from who could have changed this program as well.
bool trusted(const std::string& path) {
  struct stat file;
  return stat(path.c_str(), &file) == 0 && (file.st_uid == 0 || file.st_uid == geteuid()) && !(file.st_mode & S_IWOTH);
}

// Where the file may be: beside the library; seen from a program in bin; in the folder where all this is built, seen from the
// library, a tool or a test there.
std::vector<std::string> places_of(const std::string& name) {
  const std::string here = own_directory(), file = concat("/transport-", name, ".so");
  std::vector<std::string> places{concat(here, "/tutti", file), concat(here, "/../" TUTTI_LIBDIR "/tutti", file)};
  for (const char* up : {"", "/..", "/../.."}) places.push_back(concat(here, up, "/transports/", name, file));
  return places;
}

Result<const TransportModule*> load(const std::string& name) {
  const std::vector<std::string> places = places_of(name);
  for (const std::string& path : places) {
    if (access(path.c_str(), R_OK) != 0) continue;
    if (!trusted(path)) return fail(Code::SystemError, path, " belongs to another user, or all may write to it");
    // Deep binding is not needed: the module shows one symbol and keeps its own copy of what it takes from the library.
    void* const object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!object) return fail(Code::SystemError, "cannot be loaded: ", dlerror());
    using Answer = const TransportModule* (*)();
    const Answer answer = reinterpret_cast<Answer>(dlsym(object, kModuleSymbol));
    const TransportModule* const module = answer ? answer() : nullptr;
    if (!module || module->interface != kModuleInterface || module->settings != kSettings || name != module->kind.name)
      return fail(Code::SystemError, path, " is not of this version of Tutti");
    return module;
  }
  return fail(Code::SystemError, "there is no ", places.front(), ": it was not built or is not installed");
}

// The modules that are loaded. A process that becomes another user may not be able to read their files again. There is no lock, since
// another thread could hold it at fork().
constexpr size_t kMostModules = 8;
std::atomic<const TransportModule*> g_loaded[kMostModules];

Result<const TransportModule*> load_once(const std::string& name) {
  for (const std::atomic<const TransportModule*>& place : g_loaded)
    if (const TransportModule* const module = place.load(std::memory_order_acquire); module && name == module->kind.name) return module;
  Result<const TransportModule*> module = load(name);
  for (std::atomic<const TransportModule*>& place : g_loaded) {
    const TransportModule* none = nullptr;
    if (!module.ok() || place.compare_exchange_strong(none, module.value())) break;
  }
  return module;
}

}  // namespace

Result<std::unique_ptr<Transport>> create_from_module(const std::string& name, const TransportOptions& options) {
  Result<const TransportModule*> module = load_once(name);
  if (!module.ok()) return fail(module.status().code(), name, ": ", module.status().text());
  return module.value()->kind.create(options);
}

}  // namespace tutti
