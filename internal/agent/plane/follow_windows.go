package plane

const noFollow = 0
