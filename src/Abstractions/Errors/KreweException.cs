using Orleans;

namespace Krewe.Abstractions;

/// <summary>An error with a code of the flat list. The message says what to change, in words for its reader.</summary>
/// <remarks>
/// Crosses silos whole: Orleans' exception codec carries message, stack and inner exception of every exception, and the
/// generated serializer adds the members that have an [Id].
/// </remarks>
[GenerateSerializer]
public sealed class KreweException(
    ErrorCode code, string message, string? parameter = null, Exception? innerException = null)
    : Exception(message, innerException)
{
    [Id(0)]
    public ErrorCode Code { get; } = code;

    /// <summary>The request field that is wrong, as the client spelled its path; null when no field is.</summary>
    [Id(1)]
    public string? Parameter { get; } = parameter;

    /// <summary>When it makes sense to try again; null when the code's own rule holds.</summary>
    [Id(2)]
    public TimeSpan? RetryAfter { get; init; }
}
