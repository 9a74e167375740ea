namespace Krewe.Control.Routing;

/// <summary>
/// Chooses workers. Deterministic: equal tables, requests and history give equal choices; whoever draws, draws from a
/// seed. May keep state of its own (a cursor, a tree), and counts nothing on the workers: the caller does that with
/// <see cref="RouteDispatch"/>.
/// </summary>
public interface IRoutingPolicy
{
    /// <summary>As <c>--policy</c> names it.</summary>
    string Name { get; }

    /// <summary>What the caller must fill in of a request.</summary>
    PrefixUse Prefix { get; }

    RouteChoice Choose(RouteRequest request, RouteTable table);

    /// <summary>The choice in words an operator can read, or what to change after a refusal. Allocates.</summary>
    string Explain(RouteRequest request, in RouteChoice choice, RouteTable table);

    /// <summary>The slot's worker has left: what was kept of it is void.</summary>
    void Forget(int slot);
}

/// <summary>What a policy reads of the prompt's prefix.</summary>
public enum PrefixUse
{
    None,

    /// <summary><see cref="RouteRequest.Hits"/>, from the prefix index.</summary>
    Hits,

    /// <summary><see cref="RouteRequest.Hashes"/>: it keeps an index of its own.</summary>
    Hashes,
}
