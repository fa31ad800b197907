"""How tests go on when a library of others brings a whole process of xdist down."""

from xdist.scheduler import LoadScopeScheduling


class GoesOnAfterACrash(LoadScopeScheduling):
    """As `--dist loadscope`, which stands still for ever after a crash: xdist 3.8 hands
    out again all that the process had, and whoever is given modules that were done
    reports nothing and is given nothing more.
    """

    def remove_node(self, node):
        units = self.assigned_work.pop(node)
        under_way = [unit for unit in units.values() if not all(unit.values())]
        if not under_way:
            return None
        crashed = next(test for test, is_done in under_way[0].items() if not is_done)
        # It has failed, and is not tried again with the rest of its module.
        under_way[0][crashed] = True
        for scope, unit in units.items():
            if not all(unit.values()):
                self.workqueue[scope] = unit
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed
