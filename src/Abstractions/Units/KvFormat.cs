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
}
