namespace Krewe.Grains;

/// <summary>What routing predicted of the requests that came since the last look.</summary>
/// <param name="Requests">All of them, refused ones included.</param>
/// <param name="TtftMet">Those whose first token was predicted in time.</param>
/// <param name="TpotMet">Those whose further tokens were.</param>
/// <param name="Refused">Those that were refused for their limits.</param>
public readonly record struct RouteTally(int Requests, int TtftMet, int TpotMet, int Refused);

/// <summary>Read by whoever sizes the pools.</summary>
public interface IRouteTally
{
    /// <summary>The counts since the last call.</summary>
    RouteTally Take();
}
