using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>A reference. Equal to every reference of the same interface to the same target.</summary>
[SuppressMessage("Performance", "CA1852", Justification = "DispatchProxy derives from it at run time.")]
internal class GrainProxy : DispatchProxy
{
    private InterfaceShape? _shape;
    private EmbeddedGrainFactory? _factory;
    private ICallRouter? _router;

    public GrainId Id { get; private set; }

    public EmbeddedGrainFactory Factory => _factory!;

    public ICallRouter Router => _router!;

    /// <summary>A copy of the prototype: some ten times as fast as asking DispatchProxy for another.</summary>
    public GrainProxy CopyFor(InterfaceShape shape, EmbeddedGrainFactory factory, ICallRouter router, GrainId id)
    {
        var copy = (GrainProxy)MemberwiseClone();
        copy._shape = shape;
        copy._factory = factory;
        copy._router = router;
        copy.Id = id;
        return copy;
    }

    public GrainProxy Cast(Type interfaceType) =>
        interfaceType.IsInstanceOfType(this) ? this : InterfaceShape.Of(interfaceType).NewProxy(Factory, Router, Id);

    public override bool Equals(object? obj) =>
        obj is GrainProxy other && other._shape == _shape && other.Id == Id && other._factory == _factory;

    public override int GetHashCode() => Id.GetHashCode();

    public override string ToString() => $"{_shape?.Type.Name}({Id})";

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
        _shape![targetMethod!].Send(this, args ?? []);
}
