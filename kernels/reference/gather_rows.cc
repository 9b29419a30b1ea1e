// out[r, :] = in[rows[r], :]
#include <cstring>

#include "common/base/check.h"
#include "kernels/reference/ops.h"

namespace banyan::kernels::reference {

void GatherRows(const GatherRowsArgs& args) {
  BANYAN_CHECK(args.in.dtype == args.out.dtype && args.in.cols == args.out.cols);
  const auto element_bytes = static_cast<int64_t>(SizeOf(args.in.dtype));
  for (int64_t r = 0; r < args.out.rows; ++r) {
    BANYAN_CHECK(args.rows[r] >= 0 && args.rows[r] < args.in.rows) << "row " << args.rows[r];
    std::memcpy(args.out.Row<char>(r * element_bytes),
                args.in.Row<char>(args.rows[r] * element_bytes),
                static_cast<size_t>(args.in.cols * element_bytes));
  }
}

}  // namespace banyan::kernels::reference
