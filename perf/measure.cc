// measure: see measure.h.
#include "perf/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace tutti::perf {
namespace {

constexpr double kSlow_us = 1000;  // such calls are timed singly whatever their size
// Calls until memory of the library's own has been touched, which takes longer than a short call.
constexpr int kTrial = 4, kShortTrial = 40;
constexpr size_t kShortBytes = 64 << 10;
// Inputs of timed and of checked calls are never the same.
constexpr uint32_t kCheckedFrom = 1U << 30;

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// One sample: microseconds per collective.
double sample(Driver& driver, const Options& options, uint32_t number, int batch) {
  driver.write_inputs(number);
  driver.barrier();
  const Clock::time_point start = Clock::now();
  if (batch == 1) {
    driver.call(options.aggregate);
  } else {
    for (int i = 0; i < batch; ++i) {
      driver.touch_inputs(number * static_cast<size_t>(batch) + static_cast<size_t>(i));
      driver.call(options.aggregate);
    }
  }
  driver.finish();
  const double time_us = microseconds_since(start) / batch / options.aggregate;
  // Who shares a core with ranks that are not done yet must not make new inputs meanwhile.
  driver.barrier();
  return time_us;
}

// The smallest sample that at least `share` of all are not above.
double quantile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<size_t>(rank, 1) - 1];
}

Figures figures_of(std::vector<double> samples) {
  double sum = 0;
  for (const double value : samples) sum += value;
  std::sort(samples.begin(), samples.end());
  return {sum / static_cast<double>(samples.size()), quantile(samples, 0.5), quantile(samples, 0.99)};
}

Figures over_ranks(Driver& driver, Average average, const Figures& mine) {
  if (average == Average::Rank0) return mine;
  std::vector<double> values{mine.mean_us, mine.p50_us, mine.p99_us};
  driver.combine(values, average == Average::Min ? tuttiMin : average == Average::Max ? tuttiMax : tuttiSum);
  const double share = average == Average::Mean ? 1.0 / driver.ranks() : 1.0;
  return {values[0] * share, values[1] * share, values[2] * share};
}

uint64_t checked_calls(Driver& driver, const Options& options) {
  uint64_t wrong = 0;
  for (int i = 0; i < options.checks; ++i) {
    const uint32_t iteration = kCheckedFrom + static_cast<uint32_t>(i);
    driver.write_inputs(iteration);
    driver.poison_outputs();
    driver.call();
    driver.finish();
    wrong += driver.count_wrong(iteration);
  }
  return wrong;
}

}  // namespace

Measured measure(Driver& driver, const Options& options, const Case& c, size_t bytes) {
  driver.select(c);
  uint32_t number = 0;
  for (int i = 0; i < options.warmup; ++i) {
    driver.write_inputs(number++);
    driver.call(options.aggregate);
    driver.finish();
  }

  std::vector<double> trial;
  const int trials = c.count * size_of(c.type) <= kShortBytes ? kShortTrial : kTrial;
  for (int i = 0; i < trials; ++i) trial.push_back(sample(driver, options, number++, 1));
  std::vector<double> fastest{*std::min_element(trial.begin(), trial.end())};
  driver.combine(fastest, tuttiMax);
  const int batch = bytes < kBatchedBelow && fastest[0] * options.aggregate < kSlow_us ? kBatch : 1;

  std::vector<double> samples;
  for (int i = 0; i < options.iterations; ++i) samples.push_back(sample(driver, options, number++, batch));

  Measured result;
  result.time = over_ranks(driver, options.average, figures_of(std::move(samples)));
  if (options.checks == 0) return result;
  // A double holds every count below 2^53.
  std::vector<double> wrong{static_cast<double>(checked_calls(driver, options))};
  driver.combine(wrong, tuttiSum);
  result.wrong = static_cast<uint64_t>(wrong[0]);
  return result;
}

}  // namespace tutti::perf
