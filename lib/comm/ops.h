// ops: the reduction operators that users have made on a communicator.
#pragma once
#include <mutex>
#include <vector>

#include "lib/base/status.h"
#include "lib/dtype/dtype.h"

namespace tutti {

// Any thread.
class Ops {
 public:
  // An operator that multiplies each input by `scalar`, which points to an element of `type`, and adds. read_now: the scalar is read here, and
  // need not stay; else whenever a call runs.
  int add(const void* scalar, Type type, bool read_now);
  Status remove(int op);
  // Whether a call on elements of `type` may use the operator.
  Status check(int op, Type type) const;
  // REQUIRES: check() has accepted the operator.
  Scale scale_of(int op) const;

 private:
  struct UserOp {
    bool alive;
    Type type;
    Scale scale;
    const void* scalar;  // read when a call runs; null: `scale` is the value
  };
  mutable std::mutex mutex_;
  std::vector<UserOp> ops_;
};

}  // namespace tutti
