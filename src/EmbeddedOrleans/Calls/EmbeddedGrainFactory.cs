using System.Collections.Concurrent;
using System.Globalization;
using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>Makes references to grains and observers of one host.</summary>
internal sealed class EmbeddedGrainFactory(GrainHost host) : IGrainFactory
{
    private static readonly GrainType ObserverType = GrainType.Create("observer");
    private readonly ConcurrentDictionary<GrainId, ObserverTarget> _observers = new();
    private readonly ConcurrentDictionary<Type, GrainType> _types = new();
    private long _lastObserver;

    public GrainHost Host => host;

    public IEnumerable<ObserverTarget> Observers => _observers.Values;

    public int ObserverCount => _observers.Values.Count(observer => !observer.IsDeleted);

    public TGrainInterface GetGrain<TGrainInterface>(string primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithStringKey
    {
        ArgumentException.ThrowIfNullOrEmpty(primaryKey);
        var type = grainClassNamePrefix is null
            ? _types.GetOrAdd(typeof(TGrainInterface), t => host.Classes.Find(t, null).GrainType)
            : host.Classes.Find(typeof(TGrainInterface), grainClassNamePrefix).GrainType;
        return (TGrainInterface)(object)ReferenceTo(typeof(TGrainInterface), GrainId.Create(type, primaryKey));
    }

    public TGrainInterface GetGrain<TGrainInterface>(GrainId grainId)
        where TGrainInterface : IAddressable =>
        (TGrainInterface)(object)ReferenceTo(typeof(TGrainInterface), grainId);

    /// <exception cref="ArgumentException">The interface cannot be called through a reference.</exception>
    public GrainProxy ReferenceTo(Type interfaceType, GrainId id)
    {
        ICallRouter router = _observers.TryGetValue(id, out var observer) ? observer : host.Catalog;
        return InterfaceShape.Of(interfaceType).NewProxy(this, router, id);
    }

    public TGrainObserverInterface CreateObjectReference<TGrainObserverInterface>(IGrainObserver obj)
        where TGrainObserverInterface : IGrainObserver
    {
        ArgumentNullException.ThrowIfNull(obj);
        if (obj is GrainProxy)
            throw new ArgumentException($"{obj} is a reference already.", nameof(obj));
        if (obj is not TGrainObserverInterface)
            throw new ArgumentException(
                $"{obj.GetType()} does not implement {typeof(TGrainObserverInterface)}.", nameof(obj));

        var number = Interlocked.Increment(ref _lastObserver);
        var target = new ObserverTarget(
            GrainId.Create(ObserverType, number.ToString(CultureInfo.InvariantCulture)), obj);
        var proxy = InterfaceShape.Of(typeof(TGrainObserverInterface)).NewProxy(this, target, target.TargetId);
        _observers[target.TargetId] = target;
        return (TGrainObserverInterface)(object)proxy;
    }

    public void DeleteObjectReference<TGrainObserverInterface>(IGrainObserver obj)
        where TGrainObserverInterface : IGrainObserver
    {
        if (obj is not GrainProxy proxy)
            throw new ArgumentException("Pass the reference that CreateObjectReference returned.", nameof(obj));
        if (_observers.TryGetValue(proxy.Id, out var target))
            target.Delete();
        ForgetDeletedObservers();
    }

    /// <summary>A deleted observer stays known until its last call has ended: the call can still time out.</summary>
    public void ForgetDeletedObservers()
    {
        foreach (var observer in _observers.Values.Where(o => o.IsDeleted && o.Gate.IsQuiet))
            _observers.TryRemove(observer.TargetId, out _);
    }
}
