namespace Krewe.Kernels;

/// <summary>
/// Logits from which no token can be drawn: one is NaN or positive infinity, or none is above negative infinity. The
/// weights or the KV that they came from are broken; the sequence fails, others are not concerned.
/// </summary>
public sealed class InvalidLogitsException(string message) : ArithmeticException(message);
