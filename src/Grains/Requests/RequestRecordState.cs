using Krewe.Abstractions;
using Orleans;

namespace Krewe.Grains;

/// <summary>
/// What storage keeps of a request. Written when it is accepted and when it has ended, never in between.
/// </summary>
[GenerateSerializer]
internal sealed class RequestRecordState
{
    /// <summary>
    /// All that is needed to go on with the stream; null once it has ended, unless the client wants to resume it later.
    /// </summary>
    [Id(0)]
    public RequestSpec? Spec { get; set; }

    [Id(1)]
    public RequestRecord? Record { get; set; }
}
