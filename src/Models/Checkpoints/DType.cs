namespace Krewe.Models;

/// <summary>Number formats of weights that the engine can compute with. Others are refused when a weight needs them.
/// </summary>
public enum DType
{
    /// <summary>IEEE 754 binary32, 4 bytes.</summary>
    F32,

    /// <summary>IEEE 754 binary16, 2 bytes.</summary>
    F16,

    /// <summary>The upper half of a binary32, 2 bytes.</summary>
    BF16,
}
