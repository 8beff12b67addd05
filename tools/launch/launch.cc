// launch: see launch.h.
#include "tools/launch/launch.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <optional>
#include <sstream>

#include "tools/failure.h"
#include "tools/launch/children.h"
#include "tools/launch/id_socket.h"
#include "tools/launch/pinning.h"
#include "tools/launch/pmix.h"

namespace tutti::tool {
namespace {

constexpr double kPatience_s = 2;  // for the other ranks to report a peer's death before they are ended
constexpr const char* kSetCommId = "set TUTTI_COMM_ID=host:port#secret in the environment, the same for all ranks (tutti-run --print-id HOST "
                                   "makes one; HOST is where rank 0 runs)";
constexpr size_t kLeastRunId = 16;  // characters; a shorter run id of torchrun's is not secret enough

// What a launcher sets, by launcher. key: names that together tell this job from others of the same user.
struct Launcher {
  const char *name, *rank, *ranks, *local_rank, *local_ranks, *hosts;
  const char* key[2];
};
enum : size_t { kTuttiRun, kMpirun, kHydra, kSrun, kTorchrun };
constexpr Launcher kLaunchers[] = {
    {"tutti-run", "TUTTI_RANK", "TUTTI_NRANKS", "TUTTI_LOCAL_RANK", nullptr, nullptr, {nullptr, nullptr}},
    {"mpirun",
     "OMPI_COMM_WORLD_RANK",
     "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE",
     nullptr,
     {"OMPI_MCA_ess_base_jobid", "PMIX_NAMESPACE"}},
    {"hydra", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", nullptr, {nullptr, nullptr}},
    {"srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", nullptr, "SLURM_STEP_NUM_NODES", {"SLURM_JOB_ID", "SLURM_STEP_ID"}},
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", nullptr, {"TORCHELASTIC_RUN_ID", "MASTER_PORT"}},
};

std::optional<int> number_in(const char* name) {
  const char* const text = name ? std::getenv(name) : nullptr;
  if (!text || !*text) return std::nullopt;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*end != '\0' || value < 0 || value > 1'000'000) return std::nullopt;
  return static_cast<int>(value);
}

// A value of blanks only counts as not set.
bool is_set(const char* name) {
  const char* const text = std::getenv(name);
  return text && text[std::strspn(text, " \t\r\n\v\f")] != '\0';
}

bool speaks(const Launcher& row) { return number_in(row.rank) && number_in(row.ranks); }

// srun --mpi=pmi2 sets hydra's names beside its own, and only its own tell the hosts. A batch script's SLURM_PROCID=0, which
// hydra's ranks inherit, is not about them: they have MPI_LOCALNRANKS.
bool hydra_is_srun() {
  const Launcher &hydra = kLaunchers[kHydra], &srun = kLaunchers[kSrun];
  return speaks(srun) && !is_set(hydra.local_ranks) && number_in(srun.rank) == number_in(hydra.rank) &&
         number_in(srun.ranks) == number_in(hydra.ranks);
}

// torchrun's workers inherit what started torchrun: that is not about them.
const Launcher* find_launcher() {
  const Launcher& torchrun = kLaunchers[kTorchrun];
  if (std::getenv(torchrun.key[0]) && speaks(torchrun)) return &torchrun;
  for (const Launcher& row : kLaunchers) {
    if (&row == &kLaunchers[kHydra] && hydra_is_srun()) continue;
    if (speaks(row)) return &row;
  }
  return nullptr;
}

// What is wrong with TUTTI_RANK and TUTTI_NRANKS, else "". Others' names may be half there: a batch script of Slurm's has a rank
// only, and an allocation a number of tasks.
std::string half_told() {
  const Launcher& own = kLaunchers[kTuttiRun];
  if (!is_set(own.rank) && !is_set(own.ranks)) return "";
  if (!is_set(own.ranks)) return std::string(own.rank) + " is set, and " + own.ranks + " is not: set both or neither";
  if (!is_set(own.rank)) return std::string(own.ranks) + " is set, and " + own.rank + " is not: set both or neither";
  for (const char* const name : {own.rank, own.ranks})
    if (!number_in(name)) return std::string(name) + "=" + std::getenv(name) + " is not a number";
  return "";
}

// A text that no other process of this host ever has in common with the parent. A pid alone is unique in its namespace only, and may be
// used again.
std::string parent_key() {
  std::string key = "parent " + std::to_string(getppid());
  struct stat numbers{};
  if (stat("/proc/self/ns/pid", &numbers) == 0) key += " of " + std::to_string(numbers.st_ino);
  std::ifstream file("/proc/" + std::to_string(getppid()) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // The 22nd word is the time of its start. The second word, in brackets, may contain blanks.
  std::istringstream words(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string word;
  for (int i = 3; i <= 22 && words >> word; ++i) {
  }
  return key + " since " + word;
}

// Without a job number the parent is what the ranks of one host have in common.
std::string job_key(const Launcher& launcher) {
  std::string key = launcher.name;
  bool known = false;
  for (const char* const name : launcher.key) {
    const char* const text = name ? std::getenv(name) : nullptr;
    if (!text || !*text) continue;
    known = true;
    key += std::string(":") + text;
  }
  return known ? key : key + ":" + parent_key();
}

// Makes a TUTTI_COMM_ID from what torchrun sets: host MASTER_ADDR, where rank 0 runs; port MASTER_PORT + 1, since torchrun's own store
// uses MASTER_PORT; as secret the run's id. Leaves `id` empty if something is not set. Returns "" or why it must not be used.
std::string torchrun_id(std::string& id) {
  const char* const run = std::getenv(kLaunchers[kTorchrun].key[0]);
  const std::optional<int> port = number_in("MASTER_PORT");
  if (!is_set("MASTER_ADDR") || !port || !run) return "";
  if (std::strlen(run) < kLeastRunId) {
    const bool none = !*run || std::strcmp(run, "none") == 0;
    return std::string("torchrun's run id is the secret of the job, and ") +
           (none ? "there is none" : "it has only " + std::to_string(std::strlen(run)) + " characters") +
           ": start torchrun with --rdzv-id and a random value of at least " + std::to_string(kLeastRunId) + " characters, or " + kSetCommId;
  }
  id = std::string(std::getenv("MASTER_ADDR")) + ":" + std::to_string(*port + 1) + "#" + run;
  return "";
}

bool make_id(const std::string& program, tuttiUniqueId& id) {
  const tuttiResult_t result = tuttiGetUniqueId(&id);
  if (result != tuttiSuccess) std::fprintf(stderr, "%s: %s\n", program.c_str(), why(result, "tuttiGetUniqueId").c_str());
  return result == tuttiSuccess;
}

// Memory shared by the forked processes. The id is written by child 0 before `ready` is set (release) and read after
// (acquire).
struct Shared {
  std::atomic<int> ready{0};
  tuttiUniqueId id{};
};

int run_child(const std::string& program, Shared& shared, Job job, const std::function<int(const Job&)>& body) {
  if (job.process == 0) {
    if (!make_id(program, shared.id)) return 1;
    shared.ready.store(1, std::memory_order_release);
  }
  // No deadline: if child 0 dies the parent ends this process, and if the parent dies the kernel does.
  while (!shared.ready.load(std::memory_order_acquire)) {
    const timespec pause{0, 200'000};
    nanosleep(&pause, nullptr);
  }
  job.id = shared.id;
  return body(job);
}

// Whether the job is refused. The first process prints why.
bool refused(const std::string& program, const Launch& how, const Job& job) {
  const std::string sentence = how.refuse ? how.refuse(job) : "";
  if (!sentence.empty() && job.process == 0) std::fprintf(stderr, "%s: %s\n", program.c_str(), sentence.c_str());
  return !sentence.empty();
}

int run_forked(const std::string& program, const Job& model, const std::function<int(const Job&)>& body) {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::fprintf(stderr, "%s: no shared memory: %s\n", program.c_str(), std::strerror(errno));
    return 1;
  }
  Shared& shared = *new (memory) Shared;
  Children children({.program = program, .patience_s = kPatience_s});
  for (int i = 0; i < model.processes; ++i) {
    Job job = model;
    job.process = job.local = i;
    if (!children.start([&] { return run_child(program, shared, job, body); })) {
      std::fprintf(stderr, "%s: cannot fork process %d: %s\n", program.c_str(), i, std::strerror(errno));
      return 1;
    }
  }
  return children.supervise();
}

int run_launched(const std::string& program, const Launch& how, const Launcher& launcher, Job job,
                 const std::function<int(const Job&)>& body) {
  job.launcher = launcher.name;
  job.process = *number_in(launcher.rank);
  job.processes = *number_in(launcher.ranks);
  job.local = number_in(launcher.local_rank).value_or(job.process);
  if (job.process >= job.processes) {
    std::fprintf(stderr, "%s: %s=%d is not below %s=%d\n", program.c_str(), launcher.rank, job.process, launcher.ranks,
                 job.processes);
    return 2;
  }
  if (refused(program, how, job)) return 2;
  const bool one_host = number_in(launcher.local_ranks).value_or(job.processes) == job.processes &&
                        number_in(launcher.hosts).value_or(1) == 1;
  if (!one_host && &launcher == &kLaunchers[kTorchrun] && !is_set("TUTTI_COMM_ID")) {
    std::string comm_id;
    if (const std::string why_not = torchrun_id(comm_id); !why_not.empty()) {
      std::fprintf(stderr, "%s: rank %d: %s\n", program.c_str(), job.process, why_not.c_str());
      return 1;
    }
    if (!comm_id.empty()) setenv("TUTTI_COMM_ID", comm_id.c_str(), 1);
  }
  if (job.processes == 1 || is_set("TUTTI_COMM_ID")) {
    if (!make_id(program, job.id)) return 1;
    return body(job);
  }
  if (!one_host && !pmix_offered()) {
    std::fprintf(stderr, "%s: the ranks are on several hosts, and %s offers no PMIx: %s\n", program.c_str(), launcher.name, kSetCommId);
    return 1;
  }
  if (job.process == 0 && !make_id(program, job.id)) return 1;
  const std::string trouble = one_host ? pass_id(job_key(launcher), job.process, job.processes, job.id)
                                       : pass_id_by_pmix(job.process, job.id);
  if (!trouble.empty()) {
    std::fprintf(stderr, "%s: rank %d: %s\n", program.c_str(), job.process, trouble.c_str());
    return 1;
  }
  return body(job);
}

}  // namespace

int launch(const std::string& program, const Launch& how, const std::function<int(const Job&)>& body) {
  if (const std::string wrong = half_told(); !wrong.empty()) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), wrong.c_str());
    return 2;
  }
  const Launcher* launcher = find_launcher();
  if (launcher && how.forked) {
    if (*number_in(launcher->ranks) > 1) {
      std::fprintf(stderr, "%s: %s has started the processes: leave out -p\n", program.c_str(), launcher->name);
      return 2;
    }
    launcher = nullptr;
  }
  Job job;
  if (how.bind == Bind::Always || (how.bind == Bind::IfFree && !(launcher && placed_by_launcher()))) job.cores = usable_cores();
  if (launcher) return run_launched(program, how, *launcher, job, body);
  job.processes = how.forked ? how.forked : 2;
  if (refused(program, how, job)) return 2;
  if (job.processes > 1) return run_forked(program, job, body);
  if (!make_id(program, job.id)) return 1;
  return body(job);
}

}  // namespace tutti::tool
