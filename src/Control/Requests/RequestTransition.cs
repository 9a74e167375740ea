using System.Collections.Immutable;

namespace Krewe.Control.Requests;

/// <summary>The state after an event, and what is to be done about it.</summary>
public sealed record RequestTransition(RequestState State, ImmutableArray<RequestEffect> Effects);
