// comm: see comm.h. How a rank leaves is in leave.cc, how a communicator is split in split.cc, the waiting loop in drive.cc.
#include "lib/comm/comm.h"

#include "lib/base/log.h"
#include "lib/comm/split.h"
#include "lib/transport/faulty.h"

namespace tutti {
namespace {

CommOptions with_timeout(CommOptions options, const Settings& settings) {
  if (options.timeout_s <= 0) options.timeout_s = settings.seconds(Setting::Timeout);
  return options;
}

}  // namespace

Comm::Comm(CommOptions options, Settings settings)
    : options_(with_timeout(std::move(options), settings)),
      settings_(std::move(settings)),
      flight_([this](const std::string& failure) { return last_moments(failure); }),
      life_(options_.rank, [this](const Status& failure) { flight_.report(failure.text()); }),
      underway_(options_, settings_, links_, life_, ops_, [this] { report_failure(); }) {}

Comm::~Comm() {
  if (background_.joinable()) background_.join();
  for (const auto& transport : links_.transports) transport->quiesce();
  links_.control.reset();  // its thread reports failures, which wake transports: it ends first
  flight_.finish();
}

Status Comm::check(const Settings& settings) {
  TUTTI_TRY(check_transports(settings));
  TUTTI_TRY(settings.about(Setting::Algo, ForcedAlgorithms::parse(settings.text(Setting::Algo)).status()));
  return settings.about(Setting::Fault, check_faults(settings.text(Setting::Fault)));
}

// What ends with a failure fails the communicator. Returns the first failure, which may have come before.
Status Comm::guard(const Work& work) noexcept {
  Status status;
  try {
    status = work();
  } catch (const std::exception&) {
    status = Status::out_of_memory();
  }
  if (status.ok()) return status;
  life_.fail({status.code(), -1, status.text()});
  return life_.failure();
}

// The phase of life_ lets nobody else in here until `end` has run.
Status Comm::start(const char* thread_name, Work work, std::function<void()> end) noexcept {
  if (background_.joinable()) background_.join();
  Status started = start_thread(&background_, thread_name, [this, work = std::move(work), end] {
    (void)guard(work);
    end();
  });
  if (started.ok()) return fail(Code::InProgress, "");
  life_.fail({started.code(), -1, started.text()});
  end();
  return started;
}

Status Comm::init(bool in_background) {
  life_.start_meeting();
  const auto make = [this] { return connect(); };
  const auto end = [this] { life_.finish_connecting(links_.transports); };
  if (in_background) return start("tutti-init", make, end);
  Status status = guard(make);
  end();
  return status;
}

Status Comm::split_in_background(std::function<Status()> work) {
  if (!life_.start_splitting()) return life_.refusal();
  return start("tutti-split", std::move(work), [this] { life_.finish_splitting(); });
}

Status Comm::end_background() noexcept {
  if (life_.leaving()) {
    life_.wait_left();
    return found_;
  }
  if (life_.state().code() == Code::InProgress) life_.abort();
  return {};
}

Status Comm::connect() {
  if (options_.alone_by_id) retire_unique_id(settings_, options_.id);
  const Control::Callbacks callbacks{[this](const Cause& cause) { life_.hear(cause); },
                                     [this](uint64_t asked) { return life_.has_met() ? underway_.activity(asked) : Activity{0, 0, "joining"}; }};
  const int64_t began_ns = now_ns();
  TUTTI_TRY(join(options_, settings_, life_, callbacks, links_));
  regions_.open(links_.transports);
  start_tracer(began_ns);
  TUTTI_TRY(underway_.open(tracer_.get()));
  const std::string& folder = settings_.text(settings_.text(Setting::FlightRecorder).empty() ? Setting::Trace : Setting::FlightRecorder);
  flight_.open(folder, options_.rank);
  return {};
}

// A trace that cannot be written is a warning: it must not stop a job. The warning is shown even if logging is off.
void Comm::start_tracer(int64_t began_ns) {
  const std::string& folder = settings_.text(Setting::Trace);
  if (folder.empty()) return;
  Result<std::unique_ptr<Tracer>> started = Tracer::start(folder, {options_, links_.clock}, began_ns, links_.crowded);
  if (started.ok())
    tracer_ = std::move(started.value());
  else
    log_line(LogLevel::Warn, options_.rank, concat("no trace is written (TUTTI_TRACE): ", started.status().text()));
}

// A program may end as soon as its call has failed: the report has to be there before.
void Comm::report_failure() noexcept {
  if (!life_.failed()) return;
  flight_.report(life_.failure().text());
  flight_.wait();
}

// In the thread of the report.
LastMoments Comm::last_moments(const std::string& failure) const {
  if (tracer_) tracer_->flush();
  return {{options_, links_.clock}, failure, underway_.activity(0), underway_.last_calls(), began_};
}

Status Comm::revoke() noexcept {
  Status revoked = life_.revoke();
  report_failure();
  return revoked;
}

void Comm::abort() noexcept {
  life_.abort();
  report_failure();
}

Status Comm::run_in_turn(std::span<const Call> calls) {
  wait_turn(take_ticket());
  struct Turn {  // ends also when memory runs out
    Turns& turns;
    ~Turn() { turns.end(); }
  } turn{turns_};
  return underway_.run(calls);
}

Result<CommOptions> Comm::split(int color, int key) {
  if (!links_.control) return child_alone(options_, color);
  struct Splitting {
    Underway& underway;
    explicit Splitting(Underway& one) : underway(one) { underway.note_split(true); }
    ~Splitting() { underway.note_split(false); }
  } splitting(underway_);
  Result<CommOptions> child = split_comm(options_, settings_, *links_.control, color, key);
  if (!child.ok() && life_.failed()) return life_.failure();
  return child;
}

}  // namespace tutti
