namespace Krewe.Workers;

/// <summary>
/// The GPU's context is broken: every later call would fail too. The worker ends, its supervisor starts another one,
/// and what ran goes on elsewhere.
/// </summary>
public sealed class DeviceLostException(string message, Exception innerException) : Exception(message, innerException);
