using System.Diagnostics.CodeAnalysis;

namespace Krewe.Kernels;

/// <summary>Number format of a weight matrix, at rest and packed. Accumulation is F32 for all of them.</summary>
public enum WeightFormat
{
    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>IEEE 754 binary16.</summary>
    F16,

    /// <summary>The upper half of a binary32.</summary>
    BF16,

    /// <summary>Whole numbers of -127 to 127 and one F32 scale for each output; see <see cref="Int8Row"/>.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The format's usual name.")]
    Int8,
}
