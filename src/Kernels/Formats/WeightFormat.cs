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
}
