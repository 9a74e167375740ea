using System.Diagnostics.CodeAnalysis;

namespace Krewe.Abstractions;

/// <summary>
/// Number format of keys and values at rest. K and V are rounded to it before anyone attends to them (DESIGN section
/// 6), so that a recomputed block has the same bits as a moved one.
/// </summary>
public enum KvFormat
{
    F32,
    F16,
    BF16,

    /// <summary>
    /// Whole numbers of -127 to 127, and one F32 scale for each token's vector of a head. Lossy, so only where somebody
    /// asks for it; a vector's bits depend on that vector alone, so it is as exact against itself as the others.
    /// </summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The format's usual name; --kv-format int8 is read from it.")]
    Int8,
}
